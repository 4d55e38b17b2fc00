import { AggregatorRegistry, collectDefaultMetrics, Registry } from 'prom-client';
import type { Figure } from './histogram';

const usual = new Registry();
collectDefaultMetrics({ register: usual });

/** The process' usual figures: CPU, memory, event loop, garbage collection. */
export async function usualFigures(): Promise<object[]> {
  return usual.getMetricsAsJSON();
}

/** The text that Prometheus reads, of this process. */
export async function textOfOne(figures: Figure[]): Promise<string> {
  return `${await usual.metrics()}\n${await AggregatorRegistry.aggregate([figures]).metrics()}`;
}

/** One text for several processes, given the figures of each. */
export function textOfAll(processes: object[][]): Promise<string> {
  return AggregatorRegistry.aggregate(processes).metrics();
}
