import { createServer } from 'node:http';
import { InferenceSession, Tensor } from 'onnxruntime-node';

async function main(file: string, port: number): Promise<void> {
  const session = await InferenceSession.create(file, { intraOpNumThreads: 1 });
  // A fetch of a sequence or a map fails: "Non tensor type is temporarily not supported."
  const fetches = session.outputMetadata.filter((o) => o.isTensor).map((o) => o.name);
  const inputs = session.inputMetadata.flatMap((input) => (input.isTensor ? [input] : []));
  const shapes = inputs.map(({ name, shape }) => ({
    name,
    shape: shape.map((size) => (typeof size === 'number' ? size : 1)),
  }));

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', async () => {
      const body = JSON.parse(Buffer.concat(chunks).toString());
      const feeds: Record<string, Tensor> = {};
      for (const { name, shape } of shapes) {
        const values = [body[name]].flat(Number.POSITIVE_INFINITY) as number[];
        feeds[name] = new Tensor('float32', new Float32Array(values), shape);
      }
      const results = await session.run(feeds, fetches);
      const reply: Record<string, unknown> = {};
      for (const name of fetches) reply[name] = Array.from(results[name]?.data as Float32Array);
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify(reply));
    });
  });
  server.listen(port, '127.0.0.1');
}

main(process.argv[2] ?? '', Number(process.env.PORT));
