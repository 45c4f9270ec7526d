// Checks of the GPU side: driver, plug-in, driver library, CUDA compiler, cuBLAS. All optional: the engine runs on the CPU.
import { existsSync } from 'node:fs';
import { cudaPluginPath, loadBinding } from '@masksearch/native-engine';
import { checkTool, firstLineOf, type Check } from './check.ts';
import { checkLibrary } from './library.ts';

export function checkGpu(): Check[] {
  return [
    checkDevice(),
    checkPlugin(),
    checkLibrary(
      'CUDA driver library',
      /^libcuda\.so/,
      'none needed: everything runs on the CPU; the NVIDIA driver brings it',
    ),
    checkTool({
      name: 'CUDA compiler',
      required: false,
      commands: [['nvcc', '--version']],
      fix: 'none needed: everything runs on the CPU; the CUDA toolkit 12 or 13 brings nvcc',
    }),
    checkCublas(process.env['MASKSEARCH_CUBLASLT']),
  ];
}

/** Where the plug-in looks for cuBLASLt: in the file that is chosen, else in the library folders. */
export function checkCublas(chosen: string | undefined): Check {
  const fix = 'none needed: everything runs on the CPU; the CUDA toolkit 12 or 13 brings it';
  if (chosen === undefined || chosen === '') {
    return checkLibrary('cuBLAS', /^libcublasLt\.so\.1[23]/, fix);
  }
  const check = { name: 'cuBLAS', required: false } as const;
  if (existsSync(chosen)) return { ...check, state: 'ok', detail: chosen };
  return {
    ...check,
    state: 'missing',
    detail: `MASKSEARCH_CUBLASLT names ${chosen}, which is not there`,
    fix: 'set it to the path of libcublasLt.so.13 or .12, or unset it',
  };
}

// What device 'cuda' would find: the plug-in, and with it the driver and a GPU.
function checkPlugin(): Check {
  const name = 'CUDA plug-in';
  const path = cudaPluginPath();
  const missing = (detail: string, fix: string): Check => ({
    name,
    required: false,
    state: 'missing',
    detail,
    fix,
  });
  if (!existsSync(path)) {
    return missing(
      'not built',
      'none needed: everything runs on the CPU; `pnpm --filter @masksearch/native-engine run build:cuda` builds it where nvcc is',
    );
  }
  try {
    const gpu = loadBinding().probeCuda(path);
    return { name, required: false, state: 'ok', detail: `loads and finds ${gpu}` };
  } catch (error) {
    const [found = '', fix = ''] = (error instanceof Error ? error.message : String(error)).split(
      '; ',
      2,
    );
    return missing(found, fix === '' ? 'docs/engine.md says what device cuda needs' : fix);
  }
}

function checkDevice(): Check {
  const query = ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader'];
  const found = firstLineOf('nvidia-smi', ...query);
  return {
    name: 'GPU',
    required: false,
    state: found === undefined ? 'missing' : 'ok',
    detail: found ?? 'nvidia-smi finds none',
    ...(found === undefined ? { fix: 'none needed: everything runs on the CPU' } : {}),
  };
}
