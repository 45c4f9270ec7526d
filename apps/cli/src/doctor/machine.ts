// Checks of the machine itself: processor, threads, memory, disk.
import { readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import type { Check } from './check.ts';
import { checkLibrary } from './library.ts';

const GIB = 2 ** 30;
/** The quickstart's peak with room to spare. */
const MEMORY_NEEDED_BYTES = 2 * GIB;
/** Packages, native builds and a run folder. */
const DISK_NEEDED_BYTES = 2 * GIB;

export function checkMachine(): Check[] {
  return [checkProcessor(), checkBlas(), checkThreads(), checkMemory(), checkDisk()];
}

function checkProcessor(): Check {
  const model = cpus()[0]?.model.trim() ?? process.arch;
  const features = vectorFeatures();
  if (process.arch === 'arm64') {
    return { name: 'CPU features', required: false, state: 'ok', detail: `${model}: NEON` };
  }
  const fast = features.includes('avx2') && features.includes('fma');
  return {
    name: 'CPU features',
    required: false,
    state: fast ? 'ok' : 'missing',
    detail: `${model}: ${features.join(' ') || 'no vector extensions seen'}`,
    ...(fast
      ? {}
      : { fix: 'kernels run without AVX2, several times slower; use a CPU of 2013 or later' }),
  };
}

/** Vector extensions that the kernels use, as Linux names them; empty where /proc is absent. */
function vectorFeatures(): string[] {
  const wanted = ['avx2', 'fma', 'avx512f', 'avx512_bf16', 'amx_tile'];
  try {
    const line = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
    const flags = new Set(line.split(/\s+/));
    return wanted.filter((flag) => flags.has(flag));
  } catch {
    return [];
  }
}

function checkBlas(): Check {
  return checkLibrary(
    'BLAS',
    /^lib(openblas|blis|mkl_rt)\b.*\.so/,
    'none needed: the engine has matrix kernels of its own',
  );
}

function checkThreads(): Check {
  const threads = availableParallelism();
  return {
    name: 'threads',
    required: false,
    state: 'ok',
    detail: `${threads} available to this process`,
  };
}

function checkMemory(): Check {
  const enough = totalmem() >= MEMORY_NEEDED_BYTES;
  return {
    name: 'memory',
    required: true,
    state: enough ? 'ok' : 'missing',
    detail: `${(totalmem() / GIB).toFixed(1)} GiB, ${(freemem() / GIB).toFixed(1)} free`,
    ...(enough ? {} : { fix: 'use a machine with 2 GiB of memory or more' }),
  };
}

function checkDisk(): Check {
  const { bavail, bsize } = statfsSync(process.cwd());
  const freeBytes = bavail * bsize;
  const enough = freeBytes >= DISK_NEEDED_BYTES;
  return {
    name: 'disk',
    required: true,
    state: enough ? 'ok' : 'missing',
    detail: `${(freeBytes / GIB).toFixed(1)} GiB free here`,
    ...(enough ? {} : { fix: 'free 2 GiB on this disk' }),
  };
}
