"""An FP32 graph -> one that decides alike and loses less as INT8: what is done before its numbers become codes.

`equalize` moves scale from channel to channel, `reconstruct` chooses the side to which each weight is rounded and puts
biases where outputs were. All of it stays a float graph, whose codes are its numbers to half a step.
"""
