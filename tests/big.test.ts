import { isDeepStrictEqual } from 'node:util';
import { ask, serveOnce } from './ask';
import { closeModels } from './serve';

afterAll(closeModels);

/** A body of some 100 KB: its arrays of numbers may be read in another way than a small one's. */
const rows = Array.from({ length: 6000 }, (_, i) => [i / 8, 0 - i]);
const [flat, text] = [rows.flat(), JSON.stringify(rows)];
const objects = rows.map((x) => ({ x }));
const tensor = { name: 'x', datatype: 'FP32', shape: [6000, 2] };
const reply = { name: 'y', datatype: 'FP32', shape: [6000, 2], data: flat };

const answered: [string, unknown, object, NodeJS.ProcessEnv?][] = [
  ['a bare batch', rows, { predictions: rows }],
  ['a batch with spaces', JSON.stringify(rows, null, '\t').replaceAll('\n', '\r\n '), { predictions: rows }],
  ['a batch under its name', { x: rows }, { predictions: rows }],
  ['instances', { instances: rows }, { predictions: rows }],
  ['instances by name', { instances: objects }, { predictions: rows }],
  ['instances of both forms', { instances: [rows[1], ...objects] }, { predictions: [rows[1], ...rows] }],
  ['an array of objects', objects, { predictions: rows }],
  ['inputs', { inputs: rows }, { outputs: rows }],
  [
    'inputs by name, with companions',
    { id: '[1,2]', inputs: { x: rows }, parameters: { a: flat } },
    { outputs: rows },
  ],
  [
    'dataframe_split',
    { dataframe_split: { columns: ['x'], data: rows.map((row) => [row]), index: flat } },
    { predictions: rows },
  ],
  [
    'the Open Inference Protocol, flat',
    { inputs: [{ ...tensor, data: flat }] },
    { model_name: 'identity-float32', outputs: [reply] },
  ],
  [
    'the Open Inference Protocol, nested',
    { inputs: [{ ...tensor, data: rows }] },
    { model_name: 'identity-float32', outputs: [reply] },
  ],
  [
    'columns by feature',
    { inputs: { b: flat.filter((_, i) => i % 2 === 1), a: rows.map(([a]) => a) } },
    { outputs: rows },
    { FEATURES: 'a,b' },
  ],
  [
    'dataframe_split by feature',
    { dataframe_split: { columns: ['b', 'a'], data: rows.map((row) => row.toReversed()) } },
    { predictions: rows },
    { FEATURES: 'a,b' },
  ],
];

// By place: jest is slow with so big a table.
test.each(answered.map(([what], i) => [what, i] as const))(
  'POST /predict with %s, big, is answered as a small one',
  async (_what, i) => {
    const [, body, expected, env] = answered[i];
    const { status, body: got } = await ask('identity-float32', body, env);
    expect(got.error).toBeUndefined();
    // Jest would take minutes to show what differs.
    expect(isDeepStrictEqual(got, expected)).toBe(true);
    expect(status).toBe(200);
  },
);

test('POST /predict with a batch of many short rows is answered', async () => {
  const short = Array.from({ length: 80_000 }, (_, i) => [i % 7, i % 5]);
  const { body } = await ask('identity-float32', short);
  expect(isDeepStrictEqual(body, { predictions: short })).toBe(true);
});

test('POST /predict with an image as nested arrays is answered', async () => {
  const image = Array.from({ length: 50 }, (_, i) => Array(3).fill(Array(8).fill(Array(8).fill(i))));
  const means = image.map((_, i) => [i, i, i]);
  expect((await ask('image', image)).body).toEqual({ predictions: means });
  expect((await ask('image', { instances: image })).body).toEqual({ predictions: means });
});

const mask = Array.from({ length: 300 }, (_, i) => Array.from({ length: 200 }, (_, j) => 1000 * i + j));
const box = 299_199;

test.each<[string, object, object]>([
  ['/predict', { image: mask }, { prediction: box, mask }],
  ['/predict', { instances: [mask] }, { predictions: [box], mask: [mask] }],
  ['/v1/models/box-and-mask:predict', { instances: [mask] }, { predictions: [{ box, mask }] }],
  [
    '/v1/models/box-and-mask:predict',
    { instances: [mask, mask] },
    { predictions: Array(2).fill({ box, mask }) },
  ],
  [
    '/v2/models/box-and-mask/infer',
    { inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 300, 200], data: mask.flat() }] },
    {
      model_name: 'box-and-mask',
      outputs: [
        { name: 'box', datatype: 'FP32', shape: [1], data: [box] },
        { name: 'mask', datatype: 'FP32', shape: [300, 200], data: mask.flat() },
      ],
    },
  ],
])('POST %s gives the whole of a big output without a batch dimension', async (path, body, expected) => {
  const { agent } = await serveOnce('box-and-mask');
  const reply = await agent.post(path).send(body);
  expect(isDeepStrictEqual(reply.body, expected)).toBe(true);
});

describe('long base64', () => {
  const b64 = Buffer.from(Float32Array.from({ length: 100_000 }, (_, i) => (i % 1000) / 8).buffer).toString(
    'base64',
  );
  const short = { b64: 'AACAPwAAAEA=' };
  const rows = Array.from({ length: 50_000 }, (_, i) => [((2 * i) % 1000) / 8, ((2 * i + 1) % 1000) / 8]);
  const shape = [50_000, 2];
  const tight = JSON.stringify({ b64, shape });

  test.each<[string, string, object]>([
    ['as it stands', tight, { predictions: rows }],
    [
      'with spaces',
      `\n${JSON.stringify({ shape, b64 }, null, 2).replace('b64":', 'b64"\t\n :')} `,
      { predictions: rows },
    ],
    ['under the input’s name', `{"x":${tight}}`, { predictions: rows }],
    [
      'in inputs',
      `{"inputs":{"x":${tight}},"id":"b64","parameters":{"a\\"b64":"c","b64":"${b64}"}}`,
      { outputs: rows },
    ],
    ['with slashes escaped', tight.replaceAll('/', '\\/'), { predictions: rows }],
    ['beside short ones', JSON.stringify({ parameters: { b64 }, instances: [short, short] }), { predictions: [[1, 2], [1, 2]] }], // biome-ignore format: rows
  ])('POST /predict with %s is read', async (_what, body, expected) => {
    const reply = await ask('identity-float32', body);
    expect(isDeepStrictEqual(reply.body, expected)).toBe(true);
  });

  test('POST /predict to a model of texts, whose bytes are one in UTF-8, gives it back', async () => {
    const text = 'ü'.repeat(200_000);
    const long = { b64: Buffer.from(text).toString('base64') };
    const body = JSON.stringify({
      instances: [
        [long, 'a'],
        ['b', long],
      ],
    });
    const reply = await ask('identity-string', body);
    expect(isDeepStrictEqual(reply.body, { predictions: [[text, 'a'], ['b', text]] })).toBe(true); // biome-ignore format: rows
  });

  test.each<[string, string, string]>([
    ['a line end in it', tight.replace('AAAA', 'AA\nAA'), 'not JSON at position'],
    ['a letter that is none', tight.replace('AAAA', 'AA*AA'), 'b64 is not base64'],
    ['a quote in it', tight.replace('AAAA', 'AA"AA'), 'not JSON at position'],
    ['an escape that is none', tight.replace('AAAA', 'AA\\zA'), 'not JSON at position'],
    ['no end', tight.slice(0, 500_000), 'not JSON'],
    ['a comma too many', `${tight.slice(0, -1)},}`, `not JSON at position ${tight.length}`],
    ['one more value than its shape', tight.replace('50000', '50001'), 'must hold 400008 bytes'],
  ])('POST /predict with %s is a 400 that says so', async (_what, body, message) => {
    const reply = await ask('identity-float32', body);
    expect(reply.status).toBe(400);
    expect(reply.body.error).toContain(message);
  });

  test('POST /predict to a feature of this name is JSON, and no base64', async () => {
    const text = 'a'.repeat(300_000);
    const features = { FEATURES: 'b64,b' };
    const reply = await ask('identity-string', JSON.stringify({ b64: text, b: 'b' }), features);
    expect(isDeepStrictEqual(reply.body, { prediction: [text, 'b'] })).toBe(true);
    expect((await ask('identity-string', `{"b64":"${text}\n","b":"b"}`, features)).body.error).toContain(
      'not JSON',
    );
  });
});

test('POST /predict with long sequences of different lengths is answered', async () => {
  const instances = [400, 3000, 401].map((length) => ({
    input_ids: Array(length).fill(2),
    attention_mask: Array(length).fill(1),
  }));
  expect(
    (await ask('ids', { instances: [...instances, ...instances, ...instances] })).body.predictions,
  ).toEqual(Array(9).fill([4, 5]));
});

test('POST /predict with texts that look like arrays of numbers gives them back', async () => {
  const texts = [`${text}"\\"${text}\\`, `"[${flat}]`, `\\\\"[${flat}`, '[1,2]'];
  const { body } = await ask(
    'identity-string',
    [texts, texts.toReversed()].flatMap((four) => [four.slice(0, 2), four.slice(2)]),
  );
  expect(body.predictions.flat()).toEqual([...texts, ...texts.toReversed()]);
});

/** Decimal numbers that are hard to round: many digits, near the middle of two doubles, at the ends of the range. */
function hardNumbers(): string[] {
  const random = (() => {
    let state = 1n;
    return (bits: bigint) => {
      state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
      return state >> (64n - bits);
    };
  })();
  const doubles = Array.from({ length: 2000 }, () => {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, random(64n));
    return view.getFloat64(0);
  }).filter(Number.isFinite);
  const digits = Array.from({ length: 4000 }, (_, i) => {
    const whole = String(random(1n + (BigInt(i) % 64n)));
    const at = Number(random(5n)) % (whole.length + 1);
    const decimal = `${whole.slice(0, at) || '0'}.${whole.slice(at) || '0'}`;
    return i % 3 === 0 ? `-${decimal}` : decimal;
  });
  // Halfway between two doubles, and a little beside it.
  const middles = Array.from({ length: 500 }, () => 2n ** 53n + 2n * random(50n) + 1n).flatMap((middle) => {
    const quarter = String(middle * 25n);
    return [
      String(middle),
      `${middle}.0`,
      `${middle}.0000001`,
      `${middle - 1n}.9999999`,
      `${quarter.slice(0, -2)}.${quarter.slice(-2)}`,
    ];
  });
  const odd = [
    '0',
    '-0',
    '0.0',
    '-0.0e5',
    '5e-324',
    '2.4703282292062328e-324',
    '1.7976931348623157e308',
    '1E22',
    '1e+23',
    '0.1',
    '9007199254740993',
    '123456789012345678',
    '0.000000000000000000000001',
    '1.00000000000000011102230246251565404',
    '4.35',
    '8.41',
    '2.2250738585072011e-308',
  ];
  return [
    ...doubles.map(String),
    ...doubles.map((value) => value.toExponential(16)),
    ...digits,
    ...middles,
    ...odd,
    '0',
  ];
}

test('POST /predict with 10,000 numbers that are hard to round reads each as JSON.parse does', async () => {
  const numbers = hardNumbers();
  const even = numbers.slice(0, 2 * Math.floor(numbers.length / 2));
  const body = `[${Array.from({ length: even.length / 2 }, (_, i) => `[${even[2 * i]},${even[2 * i + 1]}]`)}]`;
  const { body: got } = await ask('identity-float64', body);
  // JSON.stringify writes -0 as 0.
  expect(isDeepStrictEqual(got.predictions, JSON.parse(JSON.stringify(JSON.parse(body))))).toBe(true);
});

test.each([
  ['a comma at the end', text.replace(/]]$/, '],]')],
  ['a comma at the beginning', text.replace('[[', '[,[')],
  ['two commas', text.replace(',[3', ',,[3')],
  ['no comma', text.replace('],[3', '][3')],
  ['a bracket too few', text.slice(0, -1)],
  ['a bracket too many', `${text}]`],
  ['a brace for a bracket', text.replace(/]$/, '}')],
  ['a leading zero', text.replace('[3,-24]', '[03,-24]')],
  ['no digit behind the point', text.replace('[3,-24]', '[3.,-24]')],
  ['no digit before the point', text.replace('[3,-24]', '[.3,-24]')],
  ['no digit behind the e', text.replace('[3,-24]', '[3e,-24]')],
  ['a plus', text.replace('[3,-24]', '[+3,-24]')],
  ['two signs', text.replace('[3,-24]', '[3,--24]')],
  ['a sign alone', text.replace('[3,-24]', '[3,-]')],
  ['hexadecimal', text.replace('[3,-24]', '[0x3,-24]')],
  ['nan', text.replace('[3,-24]', '[nan,-24]')],
  ['a comment', text.replace('[3,-24]', '[3,/**/-24]')],
  ['a form feed', text.replace('[3,-24]', '[3,\f-24]')],
  ['an array for a key', `{${text}:1}`],
  ['an array for a key in parameters', `{"instances":[[1,2]],"parameters":{${text}:1}}`],
  ['an array behind an array', `${text}${text}`],
  ['an array behind a key without a colon', `{"x"${text}}`],
  ['an unfinished text', `{"x":${text},"y`],
])('POST /predict with a big body and %s is a 400 that says it is not JSON', async (_what, body) => {
  const { status, body: got } = await ask('identity-float32', body);
  expect(got.error).toContain('not JSON');
  expect(status).toBe(400);
});

test.each([
  ['text', 'identity-float32', text.replace('[375,-3000]', '[375,"-3000"]'), 'x[3000][1] must be'],
  [
    'null for a whole number',
    'identity-int32',
    text.replaceAll(/\.\d+/g, '').replace('[375,-3000]', '[375,null]'),
    'x[3000][1] must be',
  ],
  ['a fraction', 'identity-int32', text, 'x[1][0] must be'],
  [
    'a number out of range',
    'identity-int8',
    JSON.stringify(rows.map((_, i) => [1, i === 3000 ? 128 : 127])),
    'x[3000][1] must be',
  ],
  [
    'a number beyond 64 bits',
    'identity-int64',
    text.replaceAll(/\.\d+/g, '').replace('[375,-3000]', '[9223372036854775808,1]'),
    'x[3000][0] must be',
  ],
  ['a number for a text', 'identity-string', text, 'x[0][0] must be'],
  [
    'a number for a truth',
    'identity-bool',
    JSON.stringify(rows.map(() => [1, 0])).replace(/0\]\]$/, '2]]'),
    'x[5999][1] must be',
  ],
  ['a shorter row', 'identity-float32', text.replace('[375,-3000]', '[375]'), 'x[3000] must be'],
  ['a longer row', 'identity-float32', text.replace('[375,-3000]', '[375,0,0]'), 'x[3000] must be'],
  ['longer rows', 'identity-float32', text.replaceAll('],', ',1],').replace(']]', ',1]]'), '[2]'],
  ['one long row', 'identity-float32', JSON.stringify(flat), 'x must be'],
  [
    'text in instances',
    'identity-float32',
    `{"instances":${text.replace('[375,-3000]', '["a",-3000]')}}`,
    'instances[3000][0] must be',
  ],
  [
    'a number out of range in instances',
    'identity-float32',
    `{"instances":${text.replace('[375,-3000]', '[375,1e39]')}}`,
    'instances[3000][1] must be',
  ],
  [
    'numbers for dataframe_records',
    'identity-float32',
    `{"dataframe_records":${text}}`,
    'dataframe_records[0] must be',
  ],
  ['numbers for columns', 'add', `{"dataframe_split":{"columns":[${flat}],"data":[]}}`, 'columns'],
  ['numbers for a shape', 'unknown-rank', `{"b64":"","shape":[${flat}]}`, 'shape'],
  [
    'numbers for an id',
    'identity-float32',
    `{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}],"id":[${flat}]}`,
    'id must be',
  ],
  ['numbers for two inputs', 'add', text, 'object'],
])(
  'POST /predict with a big body and %s to %s is a 400 that names the place',
  async (_what, model, body, place) => {
    const { status, body: got } = await ask(model, body);
    expect(got.error).toContain(place);
    expect(got.error.length).toBeLessThan(1500);
    expect(status).toBe(400);
  },
);
