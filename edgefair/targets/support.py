"""What kernels are known not to compute of ONNX, or to compute wrongly: facts, with their sources.

`graphs.unsupported` finds such nodes in a graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

# Domains whose operators nobody but onnxruntime has.
TREES = "ai.onnx.ml"
# onnxruntime's product with weights of 4 bits, which few kernels beside its own have.
PACKED = "MatMulNBits"


@dataclass(frozen=True)
class Support:
    """What is not said here may be computed. Types are named as in onnx.proto, in lower case.

    Attributes:
        wrong: casts (from a type, to a type) that give other numbers -> what they give.
        fixed: whether every size of an input but the first must be fixed, and not a node is taken where one is not.
        only: operators of ONNX that there are; None where that is not known.
        lacks: operators of ONNX and of onnxruntime that there are not.
        domains: of operators that there are not.
        readers: types that only some operators read: type -> these.
        codes: types of what is quantized; None for any.
        symmetric: whether zero points must be 0.
    """

    wrong: Mapping[tuple[str, str], str] = field(default_factory=dict)
    fixed: bool = False
    only: frozenset[str] | None = None
    lacks: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    readers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    codes: frozenset[str] | None = None
    symmetric: bool = False

    def beside_others(self) -> Self:
        """The same where others compute the nodes that these kernels do not take."""
        return type(self)(wrong=self.wrong, fixed=self.fixed)


ANYTHING = Support()


def _named(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Table "Supported ONNX operators" and section "Model requirements" of onnxruntime-qnn's
# docs/execution_providers/QNN-ExecutionProvider.md, with what its release notes added up to 2.7. The wrong cast: seen
# with 2.7.0 on the simulator (htp_arch 73), the only one of 90 pairs of types.
QNN = Support(
    wrong={("uint8", "float"): "makes 0 or 1 of every byte"},
    fixed=True,
    domains=frozenset({TREES}),
    lacks=frozenset({PACKED}),
    only=_named(
        "Abs Add And ArgMax ArgMin Asin Atan AveragePool BatchNormalization Cast Ceil Clip Concat Constant Conv "
        "ConvInteger ConvTranspose Cos CumSum DepthToSpace DequantizeLinear Div DynamicQuantizeLinear Einsum Elu Equal "
        "Erf Exp Expand Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool "
        "Greater GreaterOrEqual GridSample GroupNormalization HardSigmoid HardSwish Identity If InstanceNormalization "
        "IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization LpPool "
        "MatMul MatMulInteger Max MaxPool MaxRoiPool Mean Min Mod Mul Neg NonMaxSuppression NonZero Not OneHot Or "
        "PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RandomNormalLike RandomUniformLike "
        "Reciprocal ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Relu Reshape Resize "
        "RoiAlign RotaryEmbedding Round STFT ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Slice Softmax "
        "Softplus SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tan Tanh ThresholdedRelu Tile TopK Transpose Unsqueeze "
        "Upsample Where Xor"
    ),
)

# Operators: asked of the parser of TensorRT for RTX 1.7.1 (`supports_operator`). Types: "Working with Quantized Types"
# and `tensorrt.DataType` of NVIDIA's documentation (codes are signed and symmetric; UINT8 is for inputs and outputs
# and is cast before anything else reads it), as that parser says too.
TENSORRT = Support(
    lacks=_named(
        "AffineGrid Bernoulli BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor CenterCropPad Col2Im "
        "Compress ConcatFromSequence ConvInteger CumProd DFT DeformConv Det DynamicQuantizeLinear ImageDecoder "
        "MatMulInteger MaxRoiPool MaxUnpool MelWeightMatrix Multinomial NegativeLogLikelihoodLoss Optional "
        "OptionalGetElement OptionalHasElement QLinearConv QLinearMatMul RegexFullMatch SequenceAt SequenceConstruct "
        "SequenceEmpty SequenceErase SequenceInsert SequenceLength SequenceMap SoftmaxCrossEntropyLoss SplitToSequence "
        "StringConcat StringNormalizer StringSplit SwiGLU TfIdfVectorizer Unique"
    ),
    domains=frozenset({TREES}),
    readers={"uint8": frozenset({"Cast", "Identity", "Shape", "Size"})},
    codes=frozenset({"int8", "int4", "float8e4m3fn", "float4e2m1"}),
    symmetric=True,
)
