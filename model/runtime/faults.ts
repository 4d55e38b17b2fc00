import { BadInput } from '../errors';

// ONNX Runtime gives its errors no code, so their text, which stands in onnxruntime/core, decides: the first pattern that
// matches, so put a narrow one before a broad one. It may echo the caller's values, so the words are ours.
const faults: [pattern: RegExp, words: string][] = [
  [/Got invalid dimensions for input|Invalid rank for input/, 'an input has a shape that it does not take'],
  [/out of (data )?(bounds|range)|(invalid|sequence) ind[ei]|index \S+ must be/i, 'an index is out of range'],
  [
    /broadcast|dimension mismatch|dimensions? (do not|must|does not)|incompatible dimensions|shape mismatch|Invalid input shape|cannot be reshaped|sizes? (do not|must) match|invalid expand shape|must have shape \{|must have \d+ dimensions|exceeds maximum allowed|Pad reflect|must have the same (shape|size|length|batch)|should (be|have) (the )?same|sequence.len(s|gth)|don't match|should not be greater than/i,
    'the sizes of the inputs do not suit it',
  ],
  [/division by zero|modulo by zero|can ?not be zero/i, 'a value is zero where the model divides by it'],
  [/\bnegative\b|must be >= 0|greater than 0/, 'a value is negative or zero where the model needs more'],
  [
    /coefficients (size|length) \(|expected feature_count=|requests feature \d+ but|Either both scale and offset|Cannot split using values in 'split'/i,
    'a row has another number of values than the model takes',
  ],
  [/Unknown Category/, 'a category is none of those that the model knows'],
  [
    /buffer of size \d{10}|Integer overflow|exceeds the supported|not a finite|must be finite|exceeds the remaining size|can ?not be less than -1|At most one dimension can be -1/,
    'a value stands for a size that no tensor can have',
  ],
  [/\bsto(d|f|i|l|ll|ul)\b/, 'a text is not a number where the model needs one'],
];

/** The caller's part in an error of a run, caused by the runtime's words; undefined where the error is the model's own. */
export function callersFault(reason: string): BadInput | undefined {
  const fault = faults.find(([pattern]) => pattern.test(reason));
  if (!fault) return undefined;
  const cause = new Error(withoutSource(reason));
  return new BadInput(`the model rejects these values: ${fault[1]}`, undefined, { cause });
}

export const unservable =
  'of a type that cannot be served, as bfloat16, float8 and int4 are: export it with float32 or int8.';

const loadFaults: [RegExp, string][] = [
  [/Unsupported data type: \d+|Invalid tensor data type \d+/, `a tensor is ${unservable}`],
  [
    /No Op registered for (\S+)|([\w.]*:?\w+)\(-?\d+\) is not a registered function/,
    'the runtime has no operator $1$2: export it without, or with opset_version=17.',
  ],
  [
    /(?:Could not find an implementation for |Type 'tensor\(\w+\)' of input parameter .* of operator \()(\w+)/,
    'the runtime has no $1 for values of this type: export it with opset_version=17, in float32 (PyTorch: model.float(); skl2onnx: X.astype("float32")).',
  ],
  [/External data path does not exist: ".*?([^/\\]+)"/, 'its weights are in $1: put that file beside it.'],
  [/out of bounds or can not be read in full/, 'its weights file is too short: copy it again.'],
];

/** Why a model cannot be loaded and, for what happens most, what to do, given the runtime's reason. */
export function loadFault(reason: string): string {
  const told = loadFaults.map(([pattern, words]) => pattern.exec(reason)?.[0].replace(pattern, words));
  return told.find(Boolean) ?? withoutSource(reason);
}

/** What is before the last of its source lines and signatures tells a user nothing. */
function withoutSource(reason: string): string {
  return reason.replace(/^Error: /, '').replace(/^.*\/onnxruntime_src\/\S+ .*?\) (?=[A-Z[])/, '');
}
