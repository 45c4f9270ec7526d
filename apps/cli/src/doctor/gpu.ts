// Checks of the GPU side: driver, driver library, CUDA compiler, cuBLAS. All optional.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkTool, firstLineOf, type Check } from './check.ts';

const LIBRARY_FOLDERS = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib/wsl/lib',
  '/usr/local/cuda/lib64',
];

export function checkGpu(): Check[] {
  return [
    checkDevice(),
    checkLibrary('CUDA driver library', /^libcuda\.so/, 'install the NVIDIA driver'),
    checkTool({
      name: 'CUDA compiler',
      required: false,
      commands: [['nvcc', '--version']],
      fix: 'install the CUDA toolkit 12 or 13 (nvcc on the PATH) to build the GPU backend',
    }),
    checkLibrary('cuBLAS', /^libcublasLt\.so/, 'install libcublas of the CUDA toolkit'),
  ];
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

function checkLibrary(name: string, pattern: RegExp, fix: string): Check {
  const folders = [...(process.env['LD_LIBRARY_PATH'] ?? '').split(':'), ...LIBRARY_FOLDERS];
  for (const folder of folders) {
    if (folder === '' || !existsSync(folder)) continue;
    const file = readdirSync(folder).find((entry) => pattern.test(entry));
    if (file !== undefined)
      return { name, required: false, state: 'ok', detail: join(folder, file) };
  }
  return { name, required: false, state: 'missing', detail: 'not in the library folders', fix };
}
