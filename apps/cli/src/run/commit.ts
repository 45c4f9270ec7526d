// The commit of the code that runs, for manifests.
import { spawnSync } from 'node:child_process';

/** `<hash>`, `<hash>-dirty` when tracked files were changed, or null outside a git repository. */
export function commitOf(folder: string): string | null {
  const git = (...args: string[]): string | undefined => {
    const result = spawnSync('git', ['-C', folder, ...args], { encoding: 'utf8' });
    return result.status === 0 ? result.stdout.trim() : undefined;
  };
  const hash = git('rev-parse', 'HEAD');
  if (hash === undefined) return null;
  return git('status', '--porcelain', '--untracked-files=no') === '' ? hash : `${hash}-dirty`;
}
