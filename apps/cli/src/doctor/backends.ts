// Checks of what the code loads: the native addons (required) and the optional tfjs backends.
import type { Check } from './check.ts';

/** Loads each part as the code itself would, so `ok` means that it works here. */
export async function checkBackends(): Promise<Check[]> {
  return Promise.all([
    tryImport({
      name: 'native masking',
      required: true,
      load: async () => {
        const { shiftedLabels } = await import('@masksearch/native-masking');
        shiftedLabels(
          { ids: Int32Array.of(1, 2), offsets: Int32Array.of(0, 2) },
          new Int32Array(2),
        );
      },
      fix: 'npm run setup builds it; its log is native/masking/build/build.log',
    }),
    tryImport({
      name: 'native engine',
      required: true,
      load: async () => (await import('@masksearch/native-engine')).loadBinding(),
      fix: 'npm run setup builds it; its log is native/engine/build/build.log',
    }),
    ...OPTIONAL.map((name) =>
      tryImport({
        name,
        required: false,
        load: () => import(name) as Promise<unknown>,
        fix: 'none needed: docs/troubleshooting.md has what it takes to install this backend',
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
    const detail = isNotInstalled(error) ? 'not installed' : firstLine(error);
    return { name, required, state: 'missing', detail, fix: part.fix };
  }
}

function isNotInstalled(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
}

/** The first line of an error, for a table cell. */
function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const line = text.split('\n')[0] ?? '';
  return line.length > 160 ? `${line.slice(0, 160)}…` : line;
}
