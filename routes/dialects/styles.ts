import type { Tensors } from '../../model/model';
import { isSingleValue, type Output, type Signature } from '../../model/signature';
import {
  type Column,
  decode,
  JoinedColumn,
  OnlyRow,
  sizesOf,
  TensorColumn,
  WritableColumn,
} from '../../model/values/decode';
import { byName, recordOf } from '../../model/values/record';
import { bytesIn, type Tensor, valuesIn } from '../../model/values/tensor';
import type { Asked } from './asked';

type OutputColumns = Record<string, Column>;

/** How replies are written for the clients of one tradition. */
export interface Style {
  /** The key of whole tensors. */
  whole: string;
  /** The values of instances, under `prediction` or `predictions`. */
  rows(answer: OutputColumns, key: string, pick: (column: Column) => unknown, signature: Signature): object;
}

export const styles = {
  predict: { whole: 'outputs', rows: byOutput },
  mlflow: { whole: 'predictions', rows: byOutput },
  // TensorFlow Serving: shapes are kept, and each prediction holds all outputs.
  tensorflow: { whole: 'outputs', rows: byRow },
} satisfies Record<string, Style>;

/** What a model answers, by output: rows or, where they were asked for, whole tensors. */
export type Answer = { columns: OutputColumns } | { tensors: Tensors };

/** More values than this are written in pieces, between which others are answered. */
const fewValues = 20_000;
/** And more bytes: texts may be few and long. */
const fewBytes = 1 << 20;

/** Whether so many values and bytes of tensors are to be written in pieces. */
export function isLarge({ size, bytes }: { size: number; bytes: number }): boolean {
  return size > fewValues || bytes > fewBytes;
}

/** How many values of tensors an answer holds, and their bytes. */
export function sizeOfAnswer(answer: Answer): { size: number; bytes: number } {
  if ('columns' in answer) return sizesOf(Object.values(answer.columns));
  const tensors = Object.values(answer.tensors);
  return { size: valuesIn(tensors), bytes: bytesIn(tensors) };
}

/** The reply in the form that was asked for. */
export function writeReply(style: Style, answer: Answer, asked: Asked, signature: Signature): object {
  if (!('tensors' in answer)) return writeRows(style, answer.columns, asked, signature);
  const { outputs } = signature;
  const run = outputs.map(({ name }) => answer.tensors[name]);
  if (asked.form !== 'whole')
    return writeRows(style, decode([run], asked.rows ?? 1, signature), asked, signature);
  return writeWhole(
    style,
    byName(outputs, (output, i) => wholeOf(run[i], output)),
  );
}

function writeRows(style: Style, answer: OutputColumns, { form }: Asked, signature: Signature): object {
  if (form === 'whole') {
    const names = Object.keys(answer);
    return writeWhole(
      style,
      recordOf(names, (i) => wholeColumn(names[i], answer[names[i]], signature)),
    );
  }
  const [first] = Object.values(answer);
  if (first.length === 0) return { predictions: [] };
  if (form === 'one') return style.rows(answer, 'prediction', onlyRow, signature);
  return style.rows(answer, 'predictions', allRows, signature);
}

/** A column as the whole tensor that it was: all rows or, where these are none, the only one. */
function wholeColumn(name: string, column: Column, { outputs, kind }: Signature): unknown {
  const isRows = kind !== 'whole' && (outputs.find((output) => output.name === name)?.batch ?? true);
  return isRows ? column : column.at(0);
}

/** A reply of whole tensors: bare where there is only one. */
function writeWhole({ whole }: Style, values: Record<string, unknown>): object {
  const all = Object.values(values);
  return { [whole]: all.length === 1 ? all[0] : values };
}

/** The value of a column's only row; a large one is left to be written in pieces. */
function onlyRow(column: Column): unknown {
  return column instanceof WritableColumn && isLarge(column) ? new OnlyRow(column) : column.at(0);
}

/** All values of a column; many are left to be written in pieces. */
function allRows(column: Column): unknown {
  return column instanceof WritableColumn && !isLarge(column) ? column.toJSON() : column;
}

function wholeOf(tensor: Tensor, { labels }: Output): unknown {
  return tensor.shape.length === 0
    ? new TensorColumn({ ...tensor, shape: [1] }).at(0)
    : new TensorColumn(tensor, labels);
}

function byOutput(
  answer: OutputColumns,
  key: string,
  pick: (column: Column) => unknown,
  signature: Signature,
): object {
  const names = Object.keys(answer);
  const primary = Object.hasOwn(answer, signature.prediction) ? signature.prediction : names[0];
  const others = names.filter((name) => name !== primary);
  // The reply's own key stands for the prediction.
  const keys = [key, ...others.map((name) => (name === key ? `${name}_output` : name))];
  return recordOf(keys, (i) => {
    const name = i === 0 ? primary : others[i - 1];
    return pick(bare(answer[name], name, signature));
  });
}

/** A column whose rows are lists of a single value, without the lists. */
function bare(column: Column, name: string, { outputs, kind }: Signature): Column {
  const output = outputs.find((one) => one.name === name);
  return output && isOurs(column) && isSingleValue(output, kind) ? column.bare() : column;
}

/** Whether a column is of the model's making, and not of a wrapper's. */
function isOurs(column: Column): column is TensorColumn | JoinedColumn {
  return column instanceof TensorColumn || column instanceof JoinedColumn;
}

function byRow(answer: OutputColumns, key: string, pick: (column: Column) => unknown): object {
  const columns = Object.values(answer);
  return { [key]: pick(columns.length === 1 ? columns[0] : new RowColumn(answer)) };
}

/** Columns transposed: each row an object keyed by output. */
class RowColumn extends WritableColumn {
  readonly length: number;
  readonly size: number;
  readonly bytes: number;

  constructor(private readonly columns: OutputColumns) {
    super();
    const own = Object.values(columns);
    this.length = own[0].length;
    const { size, bytes } = sizesOf(own);
    this.size = size;
    this.bytes = bytes;
  }

  at(row: number): unknown {
    return Object.fromEntries(Object.entries(this.columns).map(([name, column]) => [name, column.at(row)]));
  }

  *pieces(): Generator<string> {
    const columns = Object.entries(this.columns).map(([name, column]) => ({
      key: JSON.stringify(name),
      column,
    }));
    for (let row = 0; row < this.length; row++) {
      let before = row === 0 ? '[{' : ',{';
      for (const { key, column } of columns) {
        if (isOurs(column) && isLarge(column.sizeOfRow(row))) {
          yield `${before}${key}:`;
          yield* column.row(row).pieces();
        } else {
          const json = JSON.stringify(column.at(row));
          // What a wrapper gives may be nothing.
          if (json === undefined) continue;
          yield `${before}${key}:${json}`;
        }
        before = ',';
      }
      yield before === ',' ? '}' : `${before}}`;
    }
    yield this.length === 0 ? '[]' : ']';
  }
}
