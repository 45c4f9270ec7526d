// Names of entities by number: unique in a world, drawn without a table, in pairs that share a word.
import { mix32, Permutation } from './permutation.ts';
import { spell, wordPools, type Split, type WordRole } from './words.ts';

/** Syllables of the word that a pair shares and of the word that tells its members apart. */
type Shape = 'two-two' | 'three-two' | 'two-three' | 'three-three';

/** Three names in five have two short words; the rest have one long word. */
const SHAPES: readonly Shape[] = ['two-two', 'two-two', 'two-two', 'three-two', 'two-three'];

/** All names of one world. Equal arguments give equal names on every machine. */
export class EntityNames {
  readonly #seed: number;
  readonly #split: Split;
  readonly #shapeKey: number;
  readonly #permutations = new Map<string, Permutation>();

  constructor(seed: number, split: Split) {
    this.#seed = seed;
    this.#split = split;
    this.#shapeKey = new Permutation(2 ** 30, seed, 'world', split, 'shape').at(0);
  }

  /** A person's name; members 0 and 1 of a pair have one surname. */
  person(pair: number, member: number): string {
    const [surname, given] = this.#pairName('surname', 'given', pair, member);
    return `${given} ${surname}`;
  }

  /** A two-word name; members 0 and 1 of a pair have one first word. */
  thing(pair: number, member: number): string {
    return this.#pairName('head', 'tail', pair, member).join(' ');
  }

  /** The name of place `number`: one word while they last, then two long ones. */
  place(number: number): string {
    const words = wordPools(this.#split).single.three;
    if (number < words.length) {
      const position = this.#permutation('single', words.length).at(number);
      return spell(words[position] as number);
    }
    return this.#shapedName('head', 'tail', 'three-three', number, 0).join(' ');
  }

  #pairName(shared: WordRole, own: WordRole, pair: number, member: number): [string, string] {
    const drawn = SHAPES[mix32(mix32(pair) ^ this.#shapeKey) % SHAPES.length] as Shape;
    const shape = pair < this.#capacity(shared, own, drawn) ? drawn : 'three-two';
    return this.#shapedName(shared, own, shape, pair, member);
  }

  #shapedName(
    shared: WordRole,
    own: WordRole,
    shape: Shape,
    pair: number,
    member: number,
  ): [string, string] {
    const [sharedWords, ownWords] = this.#words(shared, own, shape);
    const size = this.#capacity(shared, own, shape);
    const slot = this.#permutation(`${shared}:${shape}`, size).at(pair);
    const ownPair = Math.floor(slot / sharedWords.length);
    return [
      spell(sharedWords[slot % sharedWords.length] as number),
      spell(ownWords[2 * ownPair + member] as number),
    ];
  }

  #words(shared: WordRole, own: WordRole, shape: Shape): [Uint32Array, Uint32Array] {
    const pools = wordPools(this.#split);
    return [
      shape.startsWith('two') ? pools[shared].two : pools[shared].three,
      shape.endsWith('two') ? pools[own].two : pools[own].three,
    ];
  }

  #capacity(shared: WordRole, own: WordRole, shape: Shape): number {
    const [sharedWords, ownWords] = this.#words(shared, own, shape);
    return sharedWords.length * Math.floor(ownWords.length / 2);
  }

  #permutation(name: string, size: number): Permutation {
    let permutation = this.#permutations.get(name);
    if (!permutation) {
      permutation = new Permutation(size, this.#seed, 'world', this.#split, 'names', name);
      this.#permutations.set(name, permutation);
    }
    return permutation;
  }
}
