"""Compression: of the torch network (`steps`), of the ONNX graph (`quantization`), and what either harms (`analysis`).

`search` finds the smallest concession that passes every gate; `config` is the section of edgefair.yaml. Functions of
networks, graphs and arrays: nothing here reads the user's files or asks a device.
"""
