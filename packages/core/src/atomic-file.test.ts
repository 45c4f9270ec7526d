import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  removeUnfinished,
  writeFileAtomic,
  writeFolderAtomic,
  writePiecesAtomic,
  writeWhole,
} from './atomic-file.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'masksearch-atomic-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('writeFileAtomic', () => {
  it('replaces the content and leaves no temporary file', () => {
    const path = join(folder, 'deep', 'file.txt');
    writeFileAtomic(path, 'old');
    writeFileAtomic(path, 'new é');
    expect(readFileSync(path, 'utf8')).toBe('new é');
    expect(readdirSync(join(folder, 'deep'))).toEqual(['file.txt']);
  });
});

describe('writePiecesAtomic', () => {
  const path = (): string => join(folder, 'pieces');
  const write = (...pieces: string[]) =>
    writePiecesAtomic(path(), async (descriptor) => {
      for (const piece of pieces) {
        if (piece === '') throw new Error('disk full');
        writeWhole(descriptor, Buffer.from(piece));
        await Promise.resolve();
      }
    });

  it('puts all pieces in place at once, or leaves the old file and nothing else', async () => {
    await write('a', 'b');
    expect(readFileSync(path(), 'utf8')).toBe('ab');
    await expect(write('c', '')).rejects.toThrow('disk full');
    expect(readFileSync(path(), 'utf8')).toBe('ab');
    expect(readdirSync(folder)).toEqual(['pieces']);
  });
});

describe('writeFolderAtomic', () => {
  it('replaces a folder as a whole', async () => {
    const path = join(folder, 'checkpoint');
    await writeFolderAtomic(path, (into) => writeFileSync(join(into, 'a'), '1'));
    await writeFolderAtomic(path, (into) => writeFileSync(join(into, 'b'), '2'));
    expect(readdirSync(path)).toEqual(['b']);
    expect(readdirSync(folder)).toEqual(['checkpoint']);
  });

  it('leaves the old folder and nothing else when filling fails', async () => {
    const path = join(folder, 'checkpoint');
    await writeFolderAtomic(path, (into) => writeFileSync(join(into, 'a'), '1'));
    const failing = writeFolderAtomic(path, (into) => {
      writeFileSync(join(into, 'half'), 'x');
      throw new Error('disk full');
    });
    await expect(failing).rejects.toThrow('disk full');
    expect(readdirSync(folder)).toEqual(['checkpoint']);
    expect(existsSync(join(path, 'a'))).toBe(true);
  });
});

describe('removeUnfinished', () => {
  it('removes what a kill left while a file or a folder was written, and nothing else', async () => {
    await writeFolderAtomic(join(folder, 'model'), (unfinished) => {
      writeFileSync(join(unfinished, 'a'), '1');
      mkdirSync(join(folder, 'kept.tmp-of-a-user'));
      writeFileSync(`${unfinished.slice(0, -12)}0123456789ab`, 'a file');
      removeUnfinished(folder);
      expect(existsSync(unfinished)).toBe(false);
      mkdirSync(unfinished);
    });
    expect(readdirSync(folder).toSorted()).toEqual(['kept.tmp-of-a-user', 'model']);
  });
});
