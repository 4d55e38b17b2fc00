/** What a file is that is no ONNX model, by its first bytes as text or in hexadecimal digits, and what to do. */
const formats: [RegExp, string][] = [
  [/^$/, 'empty: copy it again'],
  [/^version https:\/\/git-lfs/, 'a Git LFS pointer, which stands for the file: run git lfs pull'],
  [/^\s*<(!doctype|html|head|\?xml)/i, 'a web page, perhaps for signing in: download the file itself'],
  // A ModelProto begins with its ir_version.
  [/^0x08/, 'cut short or damaged: copy it again'],
  // joblib compresses as zlib does.
  [/^0x(80|78(01|5e|9c|da))/, 'a pickle (joblib): python model/convert.py makes an ONNX model of it'],
  [/^0x1f8b/, 'compressed by gzip: gunzip it'],
];

/** What a file is that begins with these bytes and is no ONNX model; undefined where it cannot be told. */
export function formatOf(beginning: Buffer): string | undefined {
  const forms = [beginning.toString(), `0x${beginning.toString('hex')}`];
  return formats.find(([pattern]) => forms.some((form) => pattern.test(form)))?.[1];
}
