// The invented words that names are made of, partitioned once and for all by split and by role.
import { mix32 } from './permutation.ts';

export type Split = 'train' | 'heldout';

/** What a word is used for; the pools are disjoint, so no name is a part of another one. */
export type WordRole = 'given' | 'surname' | 'head' | 'tail' | 'single';

/**
 * 80 closed syllables. Few rimes, each with many onsets: a byte-pair vocabulary of about a thousand
 * tokens then learns whole syllables before anything that straddles two of them. No syllable ends
 * like an English suffix, so stemming keeps names apart.
 */
export const SYLLABLES: readonly string[] = `
  ban ben bil bom buk  dar del dim dok dut  fam fem fil fot fun  gam gek git gon gur
  hak het hin hor hul  jat jen jir jol jum  kar kel kim kol kut  lam lem lik lot lun
  mam mek mit mon mur  nak net nin nor nul  pat pen pir pol pum  ran ren ril rom ruk
  sam sem sik sot sun  tam tek til ton tur  vak vet vin vor vul  zat zen zir zol zum
`
  .trim()
  .split(/\s+/);

/** Fixed for all time: changing it moves words between the splits. */
const PARTITION_KEY = 0x6d61736b;

/** Shares of the three-syllable words by role, in 32nds; two-syllable words make no single names. */
const THREE_SYLLABLE_ROLES: readonly WordRole[] = [
  ...Array<WordRole>(20).fill('single'),
  ...(['given', 'surname', 'head', 'tail'] as const).flatMap((role) =>
    Array<WordRole>(3).fill(role),
  ),
];
const TWO_SYLLABLE_ROLES: readonly WordRole[] = ['given', 'surname', 'head', 'tail'];

/** The words of one split: for each role those of two and of three syllables, as codes. */
type Pools = Readonly<Record<WordRole, { readonly two: Uint32Array; readonly three: Uint32Array }>>;

const S = SYLLABLES.length;
/** Words of two syllables have codes below this, words of three syllables the codes from it on. */
const THREE_SYLLABLE_BASE = S * S;

/** The capitalised word with this code. */
export function spell(code: number): string {
  const isLong = code >= THREE_SYLLABLE_BASE;
  const rest = isLong ? code - THREE_SYLLABLE_BASE : code;
  const syllables = isLong
    ? [Math.floor(rest / (S * S)), Math.floor(rest / S) % S, rest % S]
    : [Math.floor(rest / S), rest % S];
  const word = syllables.map((syllable) => SYLLABLES[syllable]).join('');
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** No syllable follows itself. */
function isUsable(code: number): boolean {
  const rest = code >= THREE_SYLLABLE_BASE ? code - THREE_SYLLABLE_BASE : code;
  const [first, second, third] = [Math.floor(rest / (S * S)), Math.floor(rest / S) % S, rest % S];
  if (second === third) return false;
  return code < THREE_SYLLABLE_BASE || first !== second;
}

function partition(split: Split): Pools {
  const lists = new Map<string, number[]>();
  for (let code = 0; code < THREE_SYLLABLE_BASE + S ** 3; code++) {
    const hash = mix32(code ^ PARTITION_KEY);
    if ((hash & 1) !== (split === 'train' ? 0 : 1) || !isUsable(code)) continue;
    const isLong = code >= THREE_SYLLABLE_BASE;
    const roles = isLong ? THREE_SYLLABLE_ROLES : TWO_SYLLABLE_ROLES;
    const key = `${roles[(hash >>> 1) % roles.length]}:${isLong}`;
    const list = lists.get(key);
    if (list) list.push(code);
    else lists.set(key, [code]);
  }
  const pool = (role: WordRole): Pools[WordRole] => ({
    two: scattered(lists.get(`${role}:false`) ?? []),
    three: scattered(lists.get(`${role}:true`) ?? []),
  });
  return {
    given: pool('given'),
    surname: pool('surname'),
    head: pool('head'),
    tail: pool('tail'),
    single: pool('single'),
  };
}

/** Ordered by hash, so that neighbours (the words that tell a pair apart) are not alike. */
function scattered(codes: readonly number[]): Uint32Array {
  const hashes = new Map(codes.map((code) => [code, mix32(code ^ ~PARTITION_KEY)]));
  return Uint32Array.from(codes).sort((a, b) => (hashes.get(a) ?? 0) - (hashes.get(b) ?? 0));
}

const cache = new Map<Split, Pools>();

/** Word codes of a split. No word belongs to both splits, whatever the seed of a world. */
export function wordPools(split: Split): Pools {
  let pools = cache.get(split);
  if (!pools) {
    pools = partition(split);
    cache.set(split, pools);
  }
  return pools;
}
