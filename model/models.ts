import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BootError } from './errors';
import { type LoadedModel, loadModel, type Model, type ModelOptions } from './model';

/** Loads the models of files and, by name, of folders. Throws BootError for an empty one, or options that are for one model. */
export async function loadModels(paths: readonly string[], options: ModelOptions = {}) {
  const files = paths.flatMap(filesOf);
  const { name, features, outputs } = options;
  for (const [variable, value] of Object.entries({ MODEL_NAME: name, FEATURES: features, OUTPUTS: outputs }))
    if (value && files.length > 1)
      throw new BootError(`${variable} is for one model, but ${files.length} are served: unset it.`);
  const models: LoadedModel[] = [];
  for (const file of files) models.push(await loadModel(file, options));
  return models;
}

/** Throws BootError where there is no model, for two of one name, or one that paths cannot hold. */
export function checkModelNames(models: readonly Model[]): void {
  if (models.length === 0) throw new BootError('there is no model to serve.');
  for (const { name, path } of models) {
    if (/[/:]/.test(name))
      throw new BootError(`${path}: its name, ${name}, cannot hold a slash or a colon: set MODEL_NAME.`);
    const [first, second] = models.filter((other) => other.name === name);
    if (second)
      throw new BootError(`${first.path} and ${second.path} are both named ${name}: rename one file.`);
  }
}

function filesOf(path: string): string[] {
  if (!isFolder(path)) return [path];
  // Not hidden ones, as macOS puts beside each file of an archive.
  const names = readdirSync(path).filter((name) => /^[^.].*\.onnx$/i.test(name));
  const files = names.sort().flatMap((name) => (isFolder(join(path, name)) ? [] : join(path, name)));
  if (files.length === 0)
    throw new BootError(`${path} is a folder without .onnx files: give the path of an ONNX file.`);
  return files;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
