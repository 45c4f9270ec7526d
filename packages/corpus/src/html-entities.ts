// Decodes the HTML entities that occur in wikitext.

const NAMED: Readonly<Record<string, string>> = {
  amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ', ensp: ' ', emsp: ' ', thinsp: ' ', shy: '',
  ndash: '–', mdash: '—', minus: '−', hellip: '…', bull: '•', middot: '·', lsquo: '‘', rsquo: '’', ldquo: '“',
  rdquo: '”', laquo: '«', raquo: '»', prime: '′', Prime: '″', deg: '°', plusmn: '±', times: '×', divide: '÷',
  frac12: '½', frac14: '¼', frac34: '¾', sup2: '²', sup3: '³', sect: '§', para: '¶', copy: '©', reg: '®',
  trade: '™', pound: '£', euro: '€', yen: '¥', cent: '¢', dagger: '†', Dagger: '‡', larr: '←', rarr: '→',
  uarr: '↑', darr: '↓', harr: '↔', rArr: '⇒', hArr: '⇔', infin: '∞', asymp: '≈', ne: '≠', le: '≤', ge: '≥',
  equiv: '≡', radic: '√', sum: '∑', prod: '∏', int: '∫', part: '∂', isin: '∈', notin: '∉', sub: '⊂', sube: '⊆',
  cup: '∪', cap: '∩', empty: '∅', exist: '∃', forall: '∀', and: '∧', or: '∨', not: '¬', fnof: 'ƒ', szlig: 'ß',
  aelig: 'æ', AElig: 'Æ', oslash: 'ø', Oslash: 'Ø', aring: 'å', Aring: 'Å', eth: 'ð', thorn: 'þ',
  alpha: 'α', beta: 'β', gamma: 'γ', delta: 'δ', epsilon: 'ε', zeta: 'ζ', eta: 'η', theta: 'θ', iota: 'ι',
  kappa: 'κ', lambda: 'λ', mu: 'μ', nu: 'ν', xi: 'ξ', omicron: 'ο', pi: 'π', rho: 'ρ', sigma: 'σ', tau: 'τ',
  upsilon: 'υ', phi: 'φ', chi: 'χ', psi: 'ψ', omega: 'ω', Gamma: 'Γ', Delta: 'Δ', Theta: 'Θ', Lambda: 'Λ',
  Xi: 'Ξ', Pi: 'Π', Sigma: 'Σ', Phi: 'Φ', Psi: 'Ψ', Omega: 'Ω',
}; // prettier-ignore

/** Letters with an accent: `eacute` is e with the acute's combining character. */
const ACCENTS: Readonly<Record<string, string>> = {
  acute: '\u0301',
  grave: '\u0300',
  circ: '\u0302',
  tilde: '\u0303',
  uml: '\u0308',
  cedil: '\u0327',
  caron: '\u030c',
};

function decodeNumber(code: number, original: string): string {
  const isCharacter = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
  return isCharacter ? String.fromCodePoint(code) : original;
}

/** Replaces entities by their characters; unknown ones are left as they are. */
export function decodeEntities(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(#x[0-9a-f]{1,6}|#\d{1,7}|[a-z]+\d{0,2});/gi, (original, name: string) => {
    if (/^#x/i.test(name)) return decodeNumber(parseInt(name.slice(2), 16), original);
    if (name.startsWith('#')) return decodeNumber(Number(name.slice(1)), original);
    if (Object.hasOwn(NAMED, name)) return NAMED[name] as string;
    const accent = ACCENTS[name.slice(1)];
    return accent === undefined ? original : `${name[0]}${accent}`.normalize('NFC');
  });
}
