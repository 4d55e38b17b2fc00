import { readInto } from './protobuf';

/** What a file is, by how its text begins, and what to do. */
const placeholders: [RegExp, string][] = [
  [/^version https:\/\/git-lfs/, 'a Git LFS pointer, which stands for the file: run git lfs pull'],
  [/^\s*<(!doctype|html|head|\?xml)/i, 'a web page, perhaps for signing in: download the file itself'],
];

/** The same, by hexadecimal digits. */
const formats: [RegExp, string][] = [
  [/^$/, 'empty: copy it again'],
  // A ModelProto begins with its ir_version.
  [/^08/, 'cut short or damaged: copy it again'],
  // joblib compresses as zlib does.
  [
    /^(80|78(01|5e|9c|da))/,
    'a pickle, as joblib writes it: python model/convert.py makes an ONNX model of it',
  ],
  [/^1f8b/, 'compressed by gzip: gunzip it'],
];

/** What stands in place of a file of weights; undefined where they may be weights. */
export function placeholderAt(path: string): string | undefined {
  const text = beginningOf(path).toString();
  return placeholders.find(([pattern]) => pattern.test(text))?.[1];
}

/** What a file is that is no ONNX model; undefined where it cannot be told. */
export function formatAt(path: string): string | undefined {
  const digits = beginningOf(path).toString('hex');
  return placeholderAt(path) ?? formats.find(([pattern]) => pattern.test(digits))?.[1];
}

function beginningOf(path: string): Buffer {
  const bytes = Buffer.alloc(64);
  return bytes.subarray(0, readInto(bytes, path, 0));
}
