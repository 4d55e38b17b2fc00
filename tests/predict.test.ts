import { closeModels, serveModel } from './serve';

afterAll(closeModels);

const setosa = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };

test('POST /predict with one instance is answered with its prediction', async () => {
  const { post } = await serveModel('model');
  const reply = await post('/predict', setosa);
  expect(reply.status).toBe(200);
  expect(reply.body.prediction).toBe('setosa');
  expect(reply.body.probabilities.setosa).toBeCloseTo(0.98469475, 4);
});
