/** What was observed under one set of labels. */
export class Series {
  /** How many fell into each bucket, and at the end the sum. */
  private readonly numbers: Float64Array;

  constructor(
    readonly labels: Record<string, string>,
    private readonly bounds: readonly number[],
  ) {
    this.numbers = new Float64Array(bounds.length + 2);
  }

  observe(value: number): void {
    const { bounds, numbers } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]) bucket++;
    numbers[bucket]++;
    numbers[bounds.length + 1] += value;
  }

  /** Samples as prom-client has them: buckets that count all below, the sum, and the count. */
  samples(name: string): Sample[] {
    const { labels, bounds, numbers } = this;
    let count = 0;
    const buckets = [...bounds, '+Inf'].map((le, i) => {
      count += numbers[i];
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: numbers[bounds.length + 1] },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}

export interface Sample {
  metricName?: string;
  labels: Record<string, string | number>;
  value: number;
}

/** A metric as prom-client's registries give it, and put it together with those of other processes. */
export interface Figure {
  name: string;
  help: string;
  type: 'histogram' | 'gauge';
  aggregator: 'sum';
  values: Sample[];
}

export function histogram(name: string, help: string, all: readonly Series[]): Figure {
  return {
    name,
    help,
    type: 'histogram',
    aggregator: 'sum',
    values: all.flatMap((one) => one.samples(name)),
  };
}

export function gauge(name: string, help: string, value: number): Figure {
  return { name, help, type: 'gauge', aggregator: 'sum', values: [{ labels: {}, value }] };
}
