"""From an FP32 graph to one in low precision, with standard operators that every runtime reads.

`prepare` brings a graph into shape, `calibrate` finds the ranges, `static`, `dynamic` and `fp16` convert, `agreement`
refuses what arithmetic does not explain. What cannot be converted stays in float and is reported. The bytes of a file
depend on the graph, the rows and the recipe alone.
"""
