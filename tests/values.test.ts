import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask } from './ask';
import { closeModels, root } from './serve';

afterAll(closeModels);

/** By element type: what a model that gives its [N,2] input back takes, and what it then gives. */
const taken: Record<string, [given: string, returned?: string][]> = {
  float16: [
    ['[0.97,-2.5]'],
    ['[61440,-61440]'],
    // 65504, the largest, is what 65500 reads back to.
    ['[65504,65519]', '[65500,65500]'],
    // Halfway between two values goes to the even one; 2^-25 is halfway to the smallest.
    ['[2049,2051]', '[2048,2052]'],
    ['[2.98023223876953125e-8,2.99e-8]', '[0,6e-8]'],
    ['[null,"NaN"]', '[null,null]'],
    ['["Infinity","-Infinity"]'],
  ],
  float32: [
    ['[0.97,5.1]'],
    ['[16777217,1e-50]', '[16777216,0]'],
    ['[3.4028235e38,-3.4028235e38]'],
    ['[null,"NaN"]', '[null,null]'],
    ['["Infinity","-Infinity"]'],
  ],
  float64: [
    ['[0.1,1.7976931348623157e308]'],
    ['[5e-324,-1e-300]'],
    ['[null,"NaN"]', '[null,null]'],
    ['["Infinity","-Infinity"]'],
  ],
  int8: [['[-128,127]'], ['[1.0,-0]', '[1,0]']],
  int16: [['[-32768,32767]'], ['[1.0,1e3]', '[1,1000]']],
  int32: [['[-2147483648,2147483647]'], ['[1.0,1e3]', '[1,1000]']],
  int64: [
    ['[-9007199254740991,9007199254740991]'],
    ['["-9223372036854775808","9223372036854775807"]'],
    ['["9007199254740993","-9007199254740993"]'],
    ['[1.0,1e3]', '[1,1000]'],
  ],
  uint8: [['[0,255]'], ['[1.0,1e2]', '[1,100]']],
  uint16: [['[0,65535]'], ['[1.0,1e3]', '[1,1000]']],
  uint32: [['[0,4294967295]'], ['[1.0,1e3]', '[1,1000]']],
  uint64: [['[0,9007199254740991]'], ['["18446744073709551615","9007199254740993"]']],
  bool: [['[true,false]'], ['[1,0]', '[true,false]']],
  string: [
    ['["","a\\"\\\\\\n\\t"]'],
    ['["\\u00e9\\ud83d\\ude0a","\\uffff\\u2028"]'],
    ['[{"b64":"w6nwn5iK"},{"b64":""}]', '["é😊",""]'],
    ['["null","{\\"b64\\":\\"\\"}"]'],
  ],
};

test.each(
  Object.entries(taken).flatMap(([type, rows]) =>
    rows.map(([given, returned = given]) => [type, given, returned]),
  ),
)('POST /predict to a model of %s with %s gives %s', async (type, given, returned) => {
  const reply = await ask(`identity-${type}`, `{"instances":[${given}]}`);
  expect(reply.body).toEqual({ predictions: [JSON.parse(returned)] });
  expect(reply.status).toBe(200);
});

/** By element type: the second of two values, and what the message says is expected. */
const refused: Record<string, [expected: string, ...values: string[]]> = {
  float16: ['number', '"1"', '"abc"', 'true', '65520', '-65520', '1e400', '{}', '[]', '"nan"', '"inf"'],
  float32: ['number', '"1"', '"abc"', 'false', '1e39', '-1e39', '3.4028236e38', '{}', '""', '"+Infinity"'],
  float64: ['number', '"1"', '"abc"', 'true', '1e400', '-1e400', '{}', '"null"'],
  int8: ['from -128 to 127', '128', '-129', '1.5', '"1"', 'true', 'null', '"NaN"'],
  int16: ['from -32768 to 32767', '32768', '-32769', '0.1', '"1"', 'null', '1e400'],
  int32: ['from -2147483648 to 2147483647', '2147483648', '-2147483649', '1.5', '"1"', 'null', 'false'],
  int64: [
    'from -9223372036854775808 to 9223372036854775807',
    ...['"9223372036854775808"', '"-9223372036854775809"', '1.5', '"1.5"', '"abc"', '""', '" 1"', '"0x10"'],
    ...['"1e3"', 'null', 'true', '"99999999999999999999999999"'],
  ],
  uint8: ['from 0 to 255', '300', '256', '-1', '1.5', '"1"', 'null', 'true'],
  uint16: ['from 0 to 65535', '65536', '-1', '1.5', '"1"', 'null'],
  uint32: ['from 0 to 4294967295', '4294967296', '-1', '1.5', '"1"', 'null'],
  uint64: ['from 0 to 18446744073709551615', '-1', '"-1"', '"18446744073709551616"', '1.5', 'null'],
  bool: ['true or false', '2', '-1', '0.5', '"true"', 'null', '""', '[]'],
  string: ['string', '1', 'null', 'true', '[]', '{}', '"a\\u0000b"', '"\\ud800"', '"\\udc00\\ud800"'],
};

test.each(
  Object.entries(refused).flatMap(([type, [expected, ...values]]) =>
    values.map((value) => ({ type, expected, value })),
  ),
)(
  'POST /predict to a model of $type with $value is a 400 that names the place',
  async ({ type, expected, value }) => {
    const one = { bool: 'true', string: '"a"' }[type] ?? '1';
    const reply = await ask(`identity-${type}`, `[[${one},${one}],[${one},${value}]]`);
    expect(reply.status).toBe(400);
    expect(reply.body.error).toMatch(/^x\[1\]\[1\] must be /);
    expect(reply.body.error).toContain(expected);
  },
);

test.each([
  ['int64', '9007199254740993', '"9007199254740993"'],
  ['int64', '-9223372036854775808', '"-9223372036854775808"'],
  ['int64', '9007199254740993.0', '"9007199254740993"'],
  ['int64', '9.007199254740993e15', '"9007199254740993"'],
  ['int64', '900719925474099300e-2', '"9007199254740993"'],
  ['int64', '-123456789012345E+4', '"-1234567890123450000"'],
  ['int64', '1e18', '"1000000000000000000"'],
  ['int64', '1152921504606846977', '"1152921504606846977"'],
  ['uint64', '18446744073709551615', '"18446744073709551615"'],
  ['uint64', '9007199254740994', '"9007199254740994"'],
])(
  'POST /predict to a model of %s with the number %s is exact to the last digit',
  async (type, number, exact) => {
    for (const body of [
      `[1,${number}]`,
      `{"instances": [[1 , ${number} ]]}`,
      `{"inputs":{"x":[[1,${number}]]}}`,
    ]) {
      const reply = await ask(`identity-${type}`, body);
      expect(reply.status).toBe(200);
      expect(JSON.stringify(reply.body)).toContain(`1,${exact}`);
    }
  },
);

test.each([
  ['int64', '9223372036854775808'],
  ['uint64', '18446744073709551616'],
  ['uint64', '-1152921504606846977'],
  ['int64', '9007199254740993.5'],
  ['int64', '4503599627370497.5'],
  ['uint64', '900719925474099300e-3'],
])('POST /predict to a model of %s with the number %s is a 400', async (type, number) => {
  const reply = await ask(`identity-${type}`, `[1,${number}]`);
  expect(reply.status).toBe(400);
  expect(reply.body.error).toMatch(/^x\[1\] must be a whole number from /);
});

test.each([
  ['NaN', '[NaN,1]', [null, 1]],
  ['infinities', '[Infinity,-Infinity]', ['Infinity', '-Infinity']],
  ['NaN in a column', '{"inputs":{"x":[[NaN , 2]]}}', [null, 2]],
])('POST /predict with the literal %s is read as the value it names', async (_what, body, values) => {
  for (const type of ['float16', 'float32', 'float64']) {
    const reply = await ask(`identity-${type}`, body);
    expect(reply.status).toBe(200);
    expect(Object.values(reply.body).flat(2)).toEqual(values);
  }
});

test.each([
  ['identity-string', '[NaN,"NaN"]', 'x[0]'],
  ['identity-int32', '[1,NaN]', 'x[1]'],
  ['identity-int64', '[1,-Infinity]', 'x[1]'],
])('POST /predict to %s with %s is a 400', async (model, body, place) => {
  const reply = await ask(model, body);
  expect(reply.status).toBe(400);
  expect(reply.body.error).toContain(`${place} must be`);
});

test.each([
  ['[1e400,1]', 'x[0] must be a number'],
  ['{"instances":[[1,-1e400]]}', 'instances[0][1] must be a number'],
  ['[1e1000,1]', 'x[0] must be a number'],
  ['[1,-1e+0400]', 'x[1] must be a number'],
  [`[1,${'9'.repeat(300)}e99]`, 'x[1] must be a number'],
  [`[1,${'9'.repeat(400)}]`, 'x[1] must be a number'],
  [`[1,${'9'.repeat(309)}]`, 'x[1] must be a number'],
  [`[1,${' '.repeat(300_000)}1E+400]`, 'x[1] must be a number'],
  [`{"x":[1,${' '.repeat(300_000)}1e400]}`, 'x[1] must be a number'],
  [`{"x":[1,${' '.repeat(300_000)}-1E+400]}`, 'x[1] must be a number'],
  [`{"signature_name":"${'a'.repeat(300_000)}","instances":[[1,1e400]]}`, 'instances[0][1] must be a number'],
  [
    `{"signature_name":"\\"${'a'.repeat(300_000)}","instances":[[1,1e400]]}`,
    'instances[0][1] must be a number',
  ],
  [`{"instances":[${'[1e-9,1.5e1],'.repeat(30_000)}[1,1e400]]}`, 'instances[30000][1] must be a number'],
])('POST /predict with a number beyond all doubles, %.30s, is a 400 that names it', async (body, place) => {
  const reply = await ask('identity-float32', body);
  expect(reply.status).toBe(400);
  expect(reply.body.error).toContain(`${place} in float32's range`);
  expect(reply.body.error).toContain('not this number');
});

test('POST /predict with a fraction that no double is, for a float beside an int64, reads the nearest', async () => {
  const body = (age: string) => ask('mixed', `{"city":"Oslo","age":${age},"visits":3}`);
  const reply = await body('9007199254740993.5');
  expect(reply.status).toBe(200);
  expect(reply.body).toEqual((await body('9007199254740994')).body);
});

test('POST /predict with a number of a million zeros is exact', async () => {
  const number = (more: number) => `0.${'0'.repeat(1e6)}123e${1e6 + more}`;
  expect((await ask('identity-int64', `[1,${number(18)}]`)).body).toEqual({
    prediction: [1, '123000000000000000'],
  });
});

test.each([
  ['of a body', 'identity-float32', '[1,2 3]', 'at position 5'],
  ['of a body with integers that no double is', 'identity-int64', '[9007199254740993,2 3]', 'at position 20'],
])('A place that is not JSON is told %s as it came', async (_what, model, body, position) => {
  const { error } = (await ask(model, body)).body;
  expect(/at position \d+/.exec(error)?.[0]).toBe(position);
});

test('POST /predict with a long string beside such a number is a 400', async () => {
  const reply = await ask('identity-float32', `{"s":"${'\\n'.repeat(2_000_000)}\\"","x":1e400}`);
  expect(reply.status).toBe(400);
});

test('POST /predict reads a literal behind a text of millions of escapes', async () => {
  const city = '\\n'.repeat(4_400_000);
  for (const [age, visits] of ['NaN,1', '1,9007199254740993'].map((pair) => pair.split(','))) {
    const reply = await ask('mixed', `{"city":"${city}","age":${age},"visits":${visits}}`);
    expect(reply.status).toBe(200);
  }
});

test('POST /predict leaves texts that hold such literals and digits alone', async () => {
  const texts = ['NaN, -Infinity', '"NaN": 9007199254740993\\'];
  const reply = await ask(
    'identity-string',
    `{"x":[${texts.map((text) => JSON.stringify(text))}],  "instances": NaN }`,
  );
  expect(reply.status).toBe(400);
  const good = await ask('mixed', '{"city":"NaN 9007199254740993","age":NaN,"visits":9007199254740993}');
  expect(good.status).toBe(200);
});

/** What Python's struct.pack('<…') makes of the values. */
const packed: [type: string, bytes: string, values: string][] = [
  ['float16', '003c00c4', '[1,-4]'],
  ['float32', '0000803f000080c0', '[1,-4]'],
  ['float64', '000000000000f03f00000000000010c0', '[1,-4]'],
  ['int8', '01fc', '[1,-4]'],
  ['int16', '0100fcff', '[1,-4]'],
  ['int32', '01000000fcffffff', '[1,-4]'],
  ['int64', '0100000000000000ffffffffffffff7f', '[1,"9223372036854775807"]'],
  ['uint8', '01fe', '[1,254]'],
  ['uint16', '0100feff', '[1,65534]'],
  ['uint32', '01000000feffffff', '[1,4294967294]'],
  ['uint64', '0100000000000000ffffffffffffffff', '[1,"18446744073709551615"]'],
  ['bool', '0100', '[true,false]'],
];

describe.each(packed)('POST /predict to a model of %s with the bytes %s', (type, hex, values) => {
  const bytes = Buffer.from(hex, 'hex');
  const predict = (data: Uint8Array, shape: number[]) =>
    ask(`identity-${type}`, { b64: Buffer.from(data).toString('base64'), shape });

  test('gives the values', async () => {
    const reply = await predict(bytes, [2]);
    expect(reply.body).toEqual({ prediction: JSON.parse(values) });
    const two = await predict(Buffer.concat([bytes, bytes]), [2, 2]);
    expect(two.body).toEqual({ predictions: [JSON.parse(values), JSON.parse(values)] });
  });

  test.each<[string, Uint8Array, number[], string]>([
    ['a byte missing', bytes.subarray(1), [2], `not ${bytes.length - 1}`],
    ['a byte too many', Buffer.concat([bytes, Buffer.alloc(1)]), [2], `not ${bytes.length + 1}`],
    ['none of them', Buffer.alloc(0), [2], 'not 0'],
    ['the shape of more rows', bytes, [2, 2], `must hold ${2 * bytes.length} bytes`],
    ['the shape of longer rows', bytes, [3], '[2]'],
    ['a shape of rank 0', bytes, [], '[2]'],
  ])('and %s is a 400 that says so', async (_what, data, shape, word) => {
    const reply = await predict(data, shape);
    expect(reply.status).toBe(400);
    expect(reply.body.error).toContain(word);
  });
});

test('POST /predict with a byte that is neither true nor false is a 400', async () => {
  const reply = await ask('identity-bool', { b64: 'AAI=', shape: [2] });
  expect(reply.status).toBe(400);
  expect(reply.body.error).toContain('only bytes 0 and 1');
});

test('POST /predict with the bytes of NaN and infinities gives null and strings', async () => {
  const reply = await ask('identity-float32', '{"b64":"AADAfwAAgH8AAID/AAAAgA==","shape":[2,2]}');
  expect(reply.body).toEqual({
    predictions: [
      [null, 'Infinity'],
      ['-Infinity', 0],
    ],
  });
});

test.each([
  ['text that is not base64', '{"b64":"!!!!!!!!!!!"}', 'base64'],
  ['base64 with a stray character', '{"b64":"AACAPwAAAE*="}', 'base64'],
  ['base64 with a space for a plus', '{"b64":"AACAPwAAgMA =","shape":[2]}', 'base64'],
  ['an unknown key', '{"b64":"AACAPwAAgMA=","dtype":"f4"}', 'unknown key'],
  ['a shape that is none', '{"b64":"AACAPwAAgMA=","shape":"2"}', 'shape'],
  ['a negative length', '{"b64":"AACAPwAAgMA=","shape":[-1,2]}', 'shape'],
  ['a fractional length', '{"b64":"AACAPwAAgMA=","shape":[1.5,2]}', 'shape'],
  ['a length as text', '{"b64":"AACAPwAAgMA=","shape":["1",2]}', 'shape'],
  ['a huge shape', '{"b64":"AACAPwAAgMA=","shape":[9007199254740991,2]}', 'shape'],
  ['a shape beyond all numbers', '{"b64":"AACAPwAAgMA=","shape":[1e300,2]}', 'shape'],
  ['a number for the base64', '{"b64":5}', '"b64"'],
  ['an unknown key beside a text', '["a",{"b64":"YQ==","zz":1}]', 'x[1] must be a string', 'identity-string'],
])(
  'POST /predict with bytes and %s is a 400 that says so',
  async (_what, body, word, model = 'identity-float32') => {
    const reply = await ask(model, body);
    expect(reply.status).toBe(400);
    expect(reply.body.error).toContain(word);
  },
);

test.each([
  ['a huge length beside none', 'unknown-rank', '{"b64":"","shape":[0,9007199254740991]}'],
  ['huge lengths beside none', 'unknown-rank', '{"b64":"","shape":[9007199254740991,9007199254740991,0]}'],
  ['a length beyond 32 bits beside none', 'unknown-rank', '{"b64":"","shape":[4294967296,0]}'],
  ['a huge length beside none', 'conv-open', '{"inputs":{"x":{"b64":"","shape":[1,1,0,1000000000000000]}}}'],
  ['a huge length in an instance', 'conv-open', '{"x":{"b64":"","shape":[1,9007199254740991,0]}}'],
  ['more dimensions than any tensor', 'unknown-rank', `{"b64":"AACAPw==","shape":[${Array(10000).fill(1)}]}`],
])('POST /predict with bytes and %s to %s is no 5xx', async (_what, model, body) => {
  const reply = await ask(model, body);
  expect(reply.status).toBeLessThan(500);
});

test.each([
  ['not base64', '{"b64":"?"}'],
  ['base64 with a stray character at its end', '{"b64":"aGVs!"}'],
  ['base64 that stops half way', '{"b64":"aGVsb"}'],
  ['not UTF-8', '{"b64":"/w=="}'],
  ['a lone surrogate in UTF-8', '{"b64":"7aCA"}'],
  ['a NUL', '{"b64":"YQBi"}'],
  ['a shape', '{"b64":"aGk=","shape":[1]}'],
])('POST /predict with a text of bytes that are %s is a 400', async (_what, value) => {
  const reply = await ask('identity-string', `{"instances":[["a","b"],["a",${value}]]}`);
  expect(reply.status).toBe(400);
  expect(reply.body.error).toContain('instances[1][1]');
  expect(reply.body.error).not.toContain('data frame');
});

test('POST /predict with UTF-8 that begins with a byte order mark keeps it', async () => {
  const reply = await ask('column', '{"b64":"77u/YQ=="}');
  expect(reply.body).toEqual({ prediction: '\ufeffa' });
});

type Floats = Record<string, { b64: string; numbers: number[] }>;
test('NaN and infinities stand among many numbers, too', async () => {
  const rows = Array.from({ length: 12_000 }, (_, i) => (i % 2 ? [null, 'Infinity'] : ['-Infinity', 1.5]));
  expect((await ask('identity-float32', rows)).body.predictions).toEqual(rows);
});

test.each([
  ['[0.000e5,-0.0]', [0, 0]],
  ['[0e999999999,-0.0e999999999]', [0, 0]],
  [`{"b64":"${Buffer.from(BigInt64Array.of(1n, 2n).buffer).toString('base64')}","shape":[2.0]}`, [1, 2]],
])('POST /predict to identity-int64 with %s, whose numbers have points', async (body, prediction) => {
  expect((await ask('identity-int64', body)).body).toEqual({ prediction });
});

test('Bytes are answered as numbers are, wherever they lie in memory', async () => {
  const values = [Number.NaN, -1, -2, -3, -4, -5, -6, -7];
  const x = { b64: Buffer.from(Float32Array.from(values).buffer).toString('base64') };
  const numbers = JSON.stringify({ instances: [values] });
  const { text } = await ask('largest-of-8', numbers);
  expect(text).toBe('{"predictions":[null]}\n');
  for (let i = 0; i < 40; i++) expect((await ask('largest-of-8', { instances: [x] })).text).toBe(text);
});

const numpy = JSON.parse(readFileSync(join(root, 'tests', 'models', 'floats.json'), 'utf8')) as Floats;

describe.each(['float32', 'float16'])('POST /predict to a model of %s', (type) => {
  const { b64, numbers } = numpy[type];
  const shape = [numbers.length / 2, 2];

  test('with bytes gives the digits that NumPy prints', async () => {
    const reply = await ask(`identity-${type}`, { b64, shape });
    expect(reply.body.predictions.flat()).toEqual(numbers);
  });

  test('writes many as it writes few', async () => {
    const few = await ask(`identity-${type}`, { b64, shape });
    const times = Math.ceil(100_000 / numbers.length);
    const bytes = Buffer.concat(Array(times).fill(Buffer.from(b64, 'base64')));
    const many = await ask(`identity-${type}`, {
      b64: bytes.toString('base64'),
      shape: [times * shape[0], 2],
    });
    // A reply in pieces is one of no announced length.
    expect([few.headers['transfer-encoding'], many.headers['transfer-encoding']]).toEqual([
      undefined,
      'chunked',
    ]);
    const rows = /^\{"predictions":\[(.*)\]\}\n$/.exec(few.text)?.[1];
    expect(many.text).toBe(`{"predictions":[${Array(times).fill(rows).join(',')}]}\n`);
  });

  test("with NumPy's digits gives them back", async () => {
    const rows = Array.from({ length: shape[0] }, (_, row) => numbers.slice(2 * row, 2 * row + 2));
    const reply = await ask(`identity-${type}`, rows);
    expect(reply.body.predictions).toEqual(rows);
  });
});

test.each([
  ['onehot-nan', { city: null, age: 1 }, 'city must be a string .* is called "nan"\\.'],
  [
    'onehot-nan',
    {
      instances: [
        { city: 'Oslo', age: null },
        { city: null, age: 1 },
      ],
    },
    'instances\\[1\\].city .* "nan"\\.',
  ],
  ['onehot-nan', { inputs: { city: ['Oslo', null], age: [1, 2] } }, 'city\\[1\\] .* is called "nan"\\.'],
  [
    'column',
    { dataframe_split: { columns: ['x'], data: [['a'], [null]] } },
    'called "nan" by pandas, "" by an imputer',
  ],
  [
    'onehot-nan',
    {
      inputs: [
        { name: 'city', datatype: 'BYTES', shape: [1, 1], data: [null] },
        { name: 'age', datatype: 'FP32', shape: [1, 1], data: [1] },
      ],
    },
    'inputs\\[0\\].data\\[0\\] .* is called "nan"\\.',
  ],
  ['column', null, 'called "nan" by pandas, "" by an imputer'],
])('POST /predict to %s with a missing text, %j, says what to send', async (model, body, words) => {
  const reply = await ask(model, JSON.stringify(body));
  expect(reply.status).toBe(400);
  expect(reply.body.error).toMatch(new RegExp(words));
});
