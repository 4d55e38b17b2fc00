import { BadInput } from './errors';

// ONNX Runtime gives its errors no code, so their text decides whose fault one is, and it may echo the caller's
// values, so the words are ours. The texts stand in onnxruntime/core: framework/execution_frame.cc,
// session/inference_session.cc and providers/cpu.
const faults: [RegExp, string][] = [
  [
    /Got invalid dimensions for input|Invalid rank for input/,
    'an input has a shape that the model does not take',
  ],
  [/out of (data )?bounds|out of range|invalid index|index \S+ must be/i, 'an index is out of range'],
  [
    /broadcast|dimension mismatch|dimensions? (do not|must|does not)|incompatible dimensions|shape mismatch|Invalid input shape|cannot be reshaped|sizes? (do not|must) match|must have the same (shape|size|length)|should (be|have) the same/i,
    'the sizes of the inputs do not go together',
  ],
  [/division by zero|modulo by zero|can ?not be zero/i, 'a value is zero where the model divides by it'],
  [/\bsto(d|f|i|l|ll|ul)\b/, 'a text is not a number where the model needs one'],
];

/** The caller's part in an error of a run, or undefined where it is the model's own. */
export function callersFault(reason: string): BadInput | undefined {
  const fault = faults.find(([pattern]) => pattern.test(reason));
  return fault && new BadInput(`the model rejects these values: ${fault[1]}`);
}
