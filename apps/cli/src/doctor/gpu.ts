// Checks of the GPU side: driver, driver library, CUDA compiler, cuBLAS. All optional: the engine runs on the CPU.
import { checkTool, firstLineOf, type Check } from './check.ts';
import { checkLibrary } from './library.ts';

export function checkGpu(): Check[] {
  return [
    checkDevice(),
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
    checkLibrary(
      'cuBLAS',
      /^libcublasLt\.so/,
      'none needed: everything runs on the CPU; the CUDA toolkit 12 or 13 brings it',
    ),
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
