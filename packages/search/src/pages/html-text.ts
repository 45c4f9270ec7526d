// The readable text of HTML: tags, scripts and menus out, entities read. Parses nothing else and runs nothing.

/** Elements whose content nobody reads. */
const SILENT = 'title|script|style|noscript|template|svg|head|nav|footer|aside|form|iframe|object';
const SILENT_ELEMENT = new RegExp(`<(${SILENT})\\b[^>]*>[^]*?(?:</\\1\\s*>|$)`, 'gi');
const COMMENT = /<!--[^]*?(?:-->|$)|<![^>]*>|<\?[^>]*>/g;
const BLOCK_TAG =
  /<\/?(?:p|div|br|li|ul|ol|tr|table|h[1-6]|section|article|blockquote|pre|dd|dt|main|header)\b[^>]*>/gi;
/** A tag begins with a letter: `a < b` is text. */
const TAG = /<\/?[a-z][^>]*>/gi;

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  ndash: '–',
  mdash: '—',
  hellip: '…',
  lsquo: '‘',
  rsquo: '’',
  ldquo: '“',
  rdquo: '”',
  middot: '·',
  copy: '©',
  deg: '°',
};

/** A snippet without markup, on one line. */
export function plainText(html: string): string {
  return decodeEntities(html.replace(TAG, '')).replace(/\s+/g, ' ').trim();
}

/** A page's title and text; blocks become lines. */
export function pageText(html: string): { readonly title: string; readonly text: string } {
  const title = /<title\b[^>]*>([^<]*)/i.exec(html)?.[1] ?? '';
  const text = html
    .replace(COMMENT, ' ')
    .replace(SILENT_ELEMENT, ' ')
    .replace(BLOCK_TAG, '\n')
    .replace(TAG, '');
  const lines = decodeEntities(text)
    .split('\n')
    .map((line) => line.replace(/\s+/g, ' ').trim());
  return { title: plainText(title), text: lines.filter((line) => line !== '').join('\n') };
}

function decodeEntities(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]{2,8}));/gi, (whole, ...found) => {
    const [decimal, hexadecimal, name] = found as (string | undefined)[];
    if (name !== undefined) return ENTITIES[name.toLowerCase()] ?? whole;
    const point = decimal === undefined ? Number.parseInt(hexadecimal ?? '', 16) : Number(decimal);
    const isCharacter = point > 0 && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
    return isCharacter ? String.fromCodePoint(point) : '\ufffd';
  });
}
