import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BootError } from './errors';
import { type LoadedModel, loadModel, type Model, type ModelOptions } from './model';

/**
 * Loads the models of files and folders, in their order; in a folder, by name. Throws BootError for a folder without
 * models, or options that are for one model only.
 */
export async function loadModels(
  paths: readonly string[],
  options: ModelOptions = {},
): Promise<LoadedModel[]> {
  const files = paths.flatMap(filesOf);
  const { name, features, outputs } = options;
  const forOne = Object.entries({ MODEL_NAME: name, FEATURES: features, OUTPUTS: outputs }).find(
    ([, value]) => value,
  );
  if (files.length > 1 && forOne) {
    throw new BootError(`${forOne[0]} is for one model, but ${files.length} are served: unset it.`);
  }
  const models: LoadedModel[] = [];
  for (const file of files) models.push(await loadModel(file, options));
  return models;
}

/** Throws BootError where there is no model, for two of one name, or one that paths cannot hold. */
export function checkModelNames(models: readonly Model[]): void {
  if (models.length === 0) throw new BootError('there is no model to serve.');
  models.forEach((model, i) => {
    if (/[/:]/.test(model.name)) {
      throw new BootError(
        `${model.path}: the name ${model.name} is part of paths and cannot hold a slash or a colon.`,
      );
    }
    const other = models.slice(0, i).find(({ name }) => name === model.name);
    if (other) {
      throw new BootError(
        `${other.path} and ${model.path} are both named ${model.name}: rename one of the files.`,
      );
    }
  });
}

function filesOf(path: string): string[] {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return [path];
  const names = readdirSync(path).filter(
    (name) => /\.onnx$/i.test(name) && !statSync(join(path, name), { throwIfNoEntry: false })?.isDirectory(),
  );
  if (names.length === 0)
    throw new BootError(`${path} is a folder without .onnx files: give the path of an ONNX file.`);
  return names.sort().map((name) => join(path, name));
}
