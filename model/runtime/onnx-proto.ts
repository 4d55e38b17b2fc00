// The numbers of the fields in https://github.com/onnx/onnx/blob/main/onnx/onnx.proto that are read or written here.

export const ModelProto = { graph: 7, metadataProps: 14, functions: 25 };
export const FunctionProto = { node: 7 };
export const GraphProto = { node: 1, initializer: 5, input: 11, output: 12 };
export const NodeProto = { input: 1, output: 2, opType: 4, attribute: 5 };
export const AttributeProto = { name: 1, i: 3, s: 4, t: 5, g: 6, ints: 8, strings: 9, type: 20 };
export const TensorProto = { dataType: 2, int64Data: 7, name: 8, rawData: 9, externalData: 13 };
export const ValueInfoProto = { name: 1, type: 2 };
export const StringStringEntryProto = { key: 1, value: 2 };
export const TypeProto = { tensorType: 1 };
/** TypeProto.Tensor. */
export const TensorType = { elemType: 1, shape: 2 };
export const TensorShapeProto = { dim: 1 };
/** TensorShapeProto.Dimension. */
export const Dimension = { dimValue: 1 };
