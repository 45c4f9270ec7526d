// Checks of the GPU side: driver, driver library, CUDA compiler, cuBLAS. All optional.
import { checkTool, firstLineOf, type Check } from './check.ts';
import { checkLibrary } from './library.ts';

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
