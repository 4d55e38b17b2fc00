import { groupsAcrossAxes } from './across';
import { broadcast, type Group, type Rule, required } from './known';
import { regroupingGroups } from './regroup';

const elementwise: Group = [
  ({ operands }) => [broadcast(operands.map(required))],
  `Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Ceil Celu Cos Cosh Div
  Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN LeakyRelu Less LessOrEqual Log Max
  Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt
  StringConcat Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor`,
];

/** What operators do with the rows of a batch: https://onnx.ai/onnx/operators/. Whatever has no rule may mix them. One that counts,
 * drops or fills up entries is named in walk.ts, too. */
export const rules: ReadonlyMap<string, Rule> = new Map(
  [elementwise, ...groupsAcrossAxes, ...regroupingGroups].flatMap(([rule, operators]) =>
    operators.split(/\s+/).map((operator): [string, Rule] => [operator, rule]),
  ),
);
