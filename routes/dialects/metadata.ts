import type { Model } from '../../model/model';
import type { Dim, Input, Output } from '../../model/signature';
import { byName } from '../../model/values/column';
import { elements } from '../../model/values/elements';

/** KServe v1 and TensorFlow Serving: whether it is there. */
export function modelStatus({ name }: Model): object {
  const status = { error_code: 'OK', error_message: '' };
  return { name, ready: true, model_version_status: [{ version: '1', state: 'AVAILABLE', status }] };
}

/** TensorFlow Serving: https://github.com/tensorflow/serving/blob/master/tensorflow_serving/g3doc/api_rest.md#model-metadata-api */
export function servingMetadata({ name, signature: { inputs, outputs } }: Model): object {
  const describe = (values: readonly (Input | Output)[]) =>
    byName(values, ({ name, type, dims }) => {
      const dim = dims.map((length) => ({ size: String(protocolDim(length)), name: '' }));
      const shape = { dim, unknown_rank: dims.length === 0 };
      return { dtype: dtypes[type] ?? `DT_${type.toUpperCase()}`, tensor_shape: shape, name };
    });
  const method_name = 'tensorflow/serving/predict';
  const served = { inputs: describe(inputs), outputs: describe(outputs), method_name };
  return {
    model_spec: { name, signature_name: '', version: '1' },
    metadata: { signature_def: { signature_def: { serving_default: served } } },
  };
}

const dtypes: Record<string, string> = { float16: 'DT_HALF', float32: 'DT_FLOAT', float64: 'DT_DOUBLE' };

/** The Open Inference Protocol's metadata. */
export function inferMetadata({ name, signature: { inputs, outputs } }: Model): object {
  const describe = ({ name, type, dims }: Input | Output) => ({
    name,
    datatype: elements[type].datatype,
    shape: dims.map(protocolDim),
  });
  const described = { inputs: inputs.map(describe), outputs: outputs.map(describe) };
  return { name, versions: ['1'], platform: 'onnx_onnxv1', ...described };
}

function protocolDim(dim: Dim): number {
  return typeof dim === 'number' ? dim : -1;
}
