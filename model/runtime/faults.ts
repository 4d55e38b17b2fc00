import { BadInput } from '../errors';

// ONNX Runtime gives its errors no code, so their text decides. The texts stand in onnxruntime/core.

// They may echo the caller's values, so the words are ours.
const faults: [RegExp, string][] = [
  [
    /Got invalid dimensions for input|Invalid rank for input/,
    'an input has a shape that the model does not take',
  ],
  [/out of (data )?bounds|out of range|invalid index|index \S+ must be/i, 'an index is out of range'],
  [
    /broadcast|dimension mismatch|dimensions? (do not|must|does not)|incompatible dimensions|shape mismatch|Invalid input shape|cannot be reshaped|sizes? (do not|must) match|invalid expand shape|must have shape \{|must have \d+ dimensions|exceeds maximum allowed|Pad reflect|must have the same (shape|size|length)|should (be|have) the same/i,
    'the sizes of the inputs do not go together',
  ],
  [/division by zero|modulo by zero|can ?not be zero/i, 'a value is zero where the model divides by it'],
  [
    /coefficients (size|length) \(|expected feature_count=|requests feature \d+ but|Either both scale and offset|Cannot split using values in 'split'/i,
    'a row has another number of values than the model takes',
  ],
  [/Unknown Category/, 'a category is none of those that the model knows'],
  [/\bsto(d|f|i|l|ll|ul)\b/, 'a text is not a number where the model needs one'],
];

/** The caller's part in an error of a run, or undefined where it is the model's own. */
export function callersFault(reason: string): BadInput | undefined {
  const fault = faults.find(([pattern]) => pattern.test(reason));
  return fault && new BadInput(`the model rejects these values: ${fault[1]}`);
}

const loadFaults: [RegExp, string][] = [
  [
    /([\w.]*:?\w+)\(-?\d+\) is not a registered function/,
    'the runtime has no operator $1: export it without.',
  ],
  [
    /No Op registered for (\S+) with domain_version of (\d+)/,
    'the runtime has no operator $1 in opset $2: export it without.',
  ],
  [
    /IR version: (\d+), max supported IR version: (\d+)/,
    'its IR version is $1, the runtime knows up to $2: export it with an older onnx package.',
  ],
  [
    /Opset (\d+) is under development.* till opset (\d+)/,
    'it uses opset $1, the runtime knows up to $2: export it with a lower opset.',
  ],
  [
    /Could not find an implementation for (\w+)\(/,
    'the runtime has no $1 for values of this type: export it with float32 columns (frame.astype("float32"), FloatTensorType).',
  ],
  [
    /Type 'tensor\(double\)' of input parameter .* of operator \((\w+)\)/,
    'its $1 takes no doubles: export it with float32 columns (frame.astype("float32"), FloatTensorType).',
  ],
  [
    /out of bounds or can not be read in full/,
    'its weights file is shorter than the model says: copy it again.',
  ],
  [
    /External data path escapes/,
    'its weights file is a symbolic link: put the file itself beside the model.',
  ],
  [/protobuf parsing failed|does not have a graph/i, 'it is not an ONNX model.'],
  [
    /Unsupported data type: (\d+)/,
    'it has an input or output of ONNX data type $1, which cannot be served: export it with float32.',
  ],
];

/** Why a model cannot be loaded, and what to do, given the runtime's reason. */
export function loadFault(reason: string): string {
  for (const [pattern, words] of loadFaults) {
    const found = pattern.exec(reason);
    if (found) return words.replace(/\$(\d)/g, (_, group) => found[Number(group)]);
  }
  // What is before the last of its source lines and signatures tells a user nothing.
  return reason.replace(/^Error: /, '').replace(/^.*\/onnxruntime_src\/\S+ .*?\) (?=[A-Z[])/, '');
}
