// Run folders: every stage leaves a manifest.json that says what it read, did and wrote.
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from './atomic-file.ts';
import { InputError } from './errors.ts';
import { readJsonFile } from './json-file.ts';
import { parseRecord } from './jsonl.ts';

export const manifestSchema = z.strictObject({
  version: z.literal(1),
  stage: z.string().min(1),
  /** The resolved configuration of the stage. */
  config: z.unknown(),
  seed: z.int(),
  /** Commit of the code, or null outside a repository. */
  commit: z.string().nullable(),
  /** File name → sha256 of what was read. */
  inputs: z.record(z.string(), z.string()),
  /** File name → sha256 of what was written. */
  outputs: z.record(z.string(), z.string()),
  /** How many of what: records in, out, rejected by reason, … */
  counts: z.record(z.string(), z.number()),
  seconds: z.number().min(0),
  device: z.string(),
});
export type Manifest = z.infer<typeof manifestSchema>;

/** sha256 of a file's bytes, as hex. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}

/** Writes `folder/manifest.json` atomically. */
export function writeManifest(folder: string, manifest: Manifest): void {
  writeFileAtomic(join(folder, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Reads `folder/manifest.json`. @throws {InputError} it is absent or malformed. */
export function readManifest(folder: string): Manifest {
  const path = join(folder, 'manifest.json');
  if (!existsSync(path)) {
    throw new InputError(`${path}: expected the manifest of a finished stage, found none.`);
  }
  return parseRecord(manifestSchema, readJsonFile(path), path);
}
