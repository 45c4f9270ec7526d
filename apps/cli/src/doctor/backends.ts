// Checks of what the code loads: the native addons (required) and the optional tfjs backends.
import type { Check } from './check.ts';

/** Loads each part as the code itself would, so `ok` means that it works here. */
export async function checkBackends(): Promise<Check[]> {
  return Promise.all([
    tryImport({
      name: 'native masking',
      required: true,
      load: () => import('@masksearch/native-masking'),
      fix: 'npm run setup builds it; its log is native/masking/build/build.log',
    }),
    tryImport({
      name: 'native engine',
      required: true,
      load: () => import('@masksearch/native-engine'),
      fix: 'npm run setup builds it; its log is native/engine/build/build.log',
    }),
    ...OPTIONAL.map((name) =>
      tryImport({
        name,
        required: false,
        load: () => import(name) as Promise<unknown>,
        fix: `optional backend; see docs/troubleshooting.md for installing ${name}`,
      }),
    ),
  ]);
}

const OPTIONAL = [
  '@tensorflow/tfjs-node',
  '@tensorflow/tfjs-node-gpu',
  '@tensorflow/tfjs-backend-wasm',
] as const;

async function tryImport(part: {
  name: string;
  required: boolean;
  load: () => Promise<unknown>;
  fix: string;
}): Promise<Check> {
  const { name, required } = part;
  try {
    await part.load();
    return { name, required, state: 'ok', detail: 'loads' };
  } catch (error) {
    return { name, required, state: 'missing', detail: firstLine(error), fix: part.fix };
  }
}

/** The first line of an error, for a table cell. */
function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const line = text.split('\n')[0] ?? '';
  return line.length > 160 ? `${line.slice(0, 160)}…` : line;
}
