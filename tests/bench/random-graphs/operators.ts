import { rules } from '../../../model/independence/rules';
import type { Maker } from './maker';
import { makersOfModels } from './models';
import { makersOfTensors } from './tensors';

const makers = new Map(
  [...makersOfTensors, ...makersOfModels].flatMap(([maker, operators]) =>
    operators.split(/\s+/).map((operator): [string, Maker] => [operator, maker]),
  ),
);

/** The operators that came after opset 7. */
const since: Record<number, string> = {
  9: 'Acosh Asinh Atanh ConstantOfShape Cosh Erf IsNaN Shrink Sign Sinh TfIdfVectorizer Where NonZero',
  11: 'BitShift CumSum Mod Round StringNormalizer IsInf ml.CategoryMapper',
  13: 'Celu GreaterOrEqual LessOrEqual',
  17: 'HardSwish LayerNormalization Trilu',
  18: 'BitwiseAnd BitwiseNot BitwiseOr BitwiseXor GroupNormalization Mish',
  20: 'Gelu RegexFullMatch StringConcat',
  24: 'RMSNormalization Swish',
};

export function sinceOf(operator: string): number {
  const found = Object.entries(since).find(([, operators]) => operators.split(' ').includes(operator));
  return Number(found?.[0] ?? 7);
}

export const operatorNames = [...new Set([...rules.keys(), ...makers.keys()])];

export function makersFor(operator: string): Maker {
  const maker = makers.get(operator);
  if (!maker) throw new Error(`no nodes are made for ${operator}`);
  return maker;
}
