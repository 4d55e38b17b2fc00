import { ask, b64, serveOnce } from './ask';
import { near } from './near';
import { closeModels } from './serve';

afterAll(closeModels);

/** Rows 0, 50, 70 and 133 of the Iris data, and scikit-learn 1.2.1's answers for what model/train.py fits. */
const flowers = [
  { row: [5.1, 3.5, 1.4, 0.2], label: 'setosa', p: [0.98469475, 0.01530519, 0.00000006] },
  { row: [7.0, 3.2, 4.7, 1.4], label: 'versicolor', p: [0.00472924, 0.86489539, 0.13037537] },
  { row: [5.9, 3.2, 4.8, 1.8], label: 'virginica', p: [0.01200932, 0.44032406, 0.54766662] },
  { row: [6.3, 2.8, 5.1, 1.5], label: 'versicolor', p: [0.00198031, 0.58400948, 0.41401021] },
];
const names = ['sepal_length', 'sepal_width', 'petal_length', 'petal_width'];
const rows = flowers.map(({ row }) => row);
const records = rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]])));
const columns = Object.fromEntries(names.map((name, i) => [name, rows.map((row) => row[i])]));
const upright = Object.fromEntries(names.map((name, i) => [name, rows.map((row) => [row[i]])]));

const labels = flowers.map(({ label }) => label);
const probabilities = flowers.map(({ p: [setosa, versicolor, virginica] }) => ({
  setosa,
  versicolor,
  virginica,
}));
const one = { prediction: labels[0], probabilities: probabilities[0] };
const many = { predictions: labels, probabilities };
const whole = { outputs: { prediction: labels, probabilities } };

const asBytes = Object.fromEntries(
  names.map((name, i) => [name, b64(new Float32Array(rows.map((row) => row[i])), [rows.length, 1])]),
);
const split = { columns: names, data: rows };
const backwards = {
  columns: names.toReversed(),
  data: rows.map((row) => row.toReversed()),
  index: [3, 2, 1, 0],
};

test.each<[string, unknown, object]>([
  ['one flower', records[0], one],
  ['one flower, its values in arrays', Object.fromEntries(names.map((name, i) => [name, [rows[0][i]]])), one],
  ['one flower behind a byte order mark', `\ufeff${JSON.stringify(records[0])}`, one],
  ['one flower in another order', Object.fromEntries(Object.entries(records[0]).toReversed()), one],
  ['an array of flowers', records, many],
  [
    'an array of one flower',
    records.slice(0, 1),
    { predictions: ['setosa'], probabilities: [one.probabilities] },
  ],
  ['a batch keyed by input', upright, many],
  ['a batch as bytes', asBytes, many],
  ['instances', { instances: records }, many],
  ['instances with companions', { instances: records, signature_name: 'serving_default', id: '7' }, many],
  ['dataframe_records', { dataframe_records: records }, many],
  ['dataframe_records with params', { dataframe_records: records, params: {} }, many],
  ['dataframe_split', { dataframe_split: split }, many],
  ['dataframe_split in another order', { dataframe_split: backwards }, many],
  ['inputs of shape [N]', { inputs: columns }, whole],
  ['inputs of shape [N,1]', { inputs: upright }, whole],
  ['inputs as bytes', { inputs: asBytes, parameters: {} }, whole],
  ['no instances', { instances: [] }, { predictions: [] }],
  ['no dataframe_records', { dataframe_records: [] }, { predictions: [] }],
  ['no rows in dataframe_split', { dataframe_split: { columns: names, data: [] } }, { predictions: [] }],
  [
    'a key that comes twice, the last of which counts',
    `{"sepal_length":9,${JSON.stringify(records[0]).slice(1)}`,
    one,
  ],
])('POST /predict with %s is answered with what scikit-learn says', async (_what, body, expected) => {
  const reply = await ask('model', body);
  expect(reply.status).toBe(200);
  expect(near(reply.body, expected)).toEqual(expected);
});

test('POST /predict in the Open Inference Protocol is answered in it', async () => {
  const inputs = names.map((name) => ({ name, datatype: 'FP32', shape: [4, 1], data: columns[name] }));
  const reply = await ask('model', { id: 'a1', inputs });
  const expected = {
    model_name: 'model',
    id: 'a1',
    outputs: [
      { name: 'prediction', datatype: 'BYTES', shape: [4], data: labels },
      {
        name: 'probabilities',
        datatype: 'FP32',
        shape: [4, 3],
        parameters: { labels: '["setosa","versicolor","virginica"]' },
        data: flowers.flatMap(({ p }) => p),
      },
    ],
  };
  expect(reply.status).toBe(200);
  expect(near(reply.body, expected)).toEqual(expected);
});

test('POST /predict with many rows answers each as if it came alone, in order', async () => {
  const order = Array.from({ length: 200 }, (_, i) => (i * 7) % flowers.length);
  const reply = await ask(
    'model',
    order.map((i) => records[i]),
  );
  expect(reply.body.predictions).toEqual(order.map((i) => labels[i]));
  const expected = order.map((i) => probabilities[i]);
  expect(near(reply.body.probabilities, expected)).toEqual(expected);
});

test('POST /predict by many clients at once gives each its own answer', async () => {
  const { post } = await serveOnce('model');
  const replies = await Promise.all(
    Array.from({ length: 100 }, (_, i) => post('/predict', records[i % flowers.length])),
  );
  expect(replies.map(({ body }) => body.prediction)).toEqual(
    Array.from({ length: 100 }, (_, i) => labels[i % flowers.length]),
  );
});

test.each([
  ['what curl -d sends', 'application/x-www-form-urlencoded'],
  ['text', 'text/plain'],
  ['JSON of a vendor', 'application/vnd.api+json; charset=UTF-8'],
  ['a form', 'multipart/form-data; boundary=x'],
  ['no media type at all', 'nonsense'],
])('POST /predict takes JSON under the Content-Type of %s', async (_what, type) => {
  const { post } = await serveOnce('model');
  const reply = await post('/predict', records[0], type);
  expect(reply.status).toBe(200);
  expect(reply.type).toBe('application/json');
  expect(reply.body.prediction).toBe('setosa');
});

test('GET /health is ok', async () => {
  const { agent } = await serveOnce('model');
  const reply = await agent.get('/health');
  expect(reply.status).toBe(200);
  expect(reply.body).toEqual({ status: 'ok' });
});
