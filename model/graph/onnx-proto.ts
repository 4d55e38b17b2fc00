// The numbers of the fields in https://github.com/onnx/onnx/blob/main/onnx/onnx.proto that are read or written here.

export const ModelProto = { graph: 7, opsetImport: 8, metadataProps: 14, functions: 25 };
export const OperatorSetIdProto = { domain: 1, version: 2 };
export const FunctionProto = { name: 1, node: 7, domain: 10 };
export const GraphProto = { node: 1, initializer: 5, input: 11, output: 12 };
export const NodeProto = { input: 1, output: 2, name: 3, opType: 4, attribute: 5, domain: 7 };
export const AttributeProto = { name: 1, i: 3, s: 4, t: 5, g: 6, floats: 7, ints: 8, strings: 9, type: 20 };
export const TensorProto = {
  dims: 1,
  dataType: 2,
  int32Data: 5,
  int64Data: 7,
  name: 8,
  rawData: 9,
  externalData: 13,
};
export const ValueInfoProto = { name: 1, type: 2 };
export const StringStringEntryProto = { key: 1, value: 2 };
export const TypeProto = { tensorType: 1 };
/** TypeProto.Tensor. */
export const TensorType = { elemType: 1, shape: 2 };
export const TensorShapeProto = { dim: 1 };
/** TensorShapeProto.Dimension. */
export const Dimension = { dimValue: 1 };
/** TensorProto.DataType. */
export const DataType = { int32: 6, int64: 7 };
