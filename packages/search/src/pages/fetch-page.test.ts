// Pages are fetched from public addresses only, checked at connect time on every hop; limits hold. Local servers stand in.
import { setTimeout as sleep } from 'node:timers/promises';
import type { LookupFunction } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { CancelledError, InputError, TimeoutError, UnavailableError } from '@masksearch/core';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type Answer,
  type Asked,
  type FakeServer,
  startFakeServer,
} from '../../test/fake-server.ts';
import { fetchPage, type PageOptions } from './fetch-page.ts';
import { PageSearch } from './page-search.ts';
import { isPublicAddress } from './public-address.ts';

let server: FakeServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const LOCAL: PageOptions = { allowAddresses: ['127.0.0.1', 'page.example'] };
const html = (body: unknown, headers: Record<string, string> = {}): Answer => ({
  headers: { 'content-type': 'text/html; charset=utf-8', ...headers },
  body,
});

/** Names resolve to what the test says; each entry is used once, the last for ever. */
function resolving(...addresses: string[]): LookupFunction {
  let call = 0;
  return (_hostname, options, callback) => {
    const address = addresses[Math.min(call++, addresses.length - 1)] ?? '';
    const family = address.includes(':') ? 6 : 4;
    if (options.all === true) callback(null, [{ address, family }]);
    else callback(null, address, family);
  };
}

async function get(
  answer: (asked: Asked, call: number) => Answer,
  options: PageOptions = {},
  path = '/',
) {
  server = await startFakeServer(answer);
  return fetchPage(`${server.url}${path}`, { ...LOCAL, ...options });
}

describe('what a page says', () => {
  it('is its title and text, without scripts, menus and markup', async () => {
    const page = await get(() =>
      html(
        '<!doctype html><html><head><title>A &amp; B</title><style>x{}</style></head><body><nav>Home</nav>' +
          '<script>alert("<p>no</p>")</script><h1>Heading</h1><p>One <b>bold</b>&nbsp;word, 1 &lt; 2 &#233; &#x1F600;.</p>' +
          '<!-- hidden <p>no</p> --><ul><li>first<li>second</ul>if a < b then</body></html>',
      ),
    );
    expect(page).toEqual({
      url: `${server?.url}/`,
      title: 'A & B',
      text: 'Heading\nOne bold word, 1 < 2 é 😀.\nfirst\nsecond\nif a < b then',
    });
  });

  it.each<[string, Answer, string]>([
    ['plain text', { headers: { 'content-type': 'text/plain' }, body: 'a <b> c' }, 'a <b> c'],
    ['gzip', html(gzipSync('<p>packed'), { 'content-encoding': 'gzip' }), 'packed'],
    ['deflate', html(deflateSync('<p>packed'), { 'content-encoding': 'deflate' }), 'packed'],
    ['brotli', html(brotliCompressSync('<p>packed'), { 'content-encoding': 'br' }), 'packed'],
    [
      'another character set',
      {
        headers: { 'content-type': 'text/html' },
        body: Buffer.from('<meta charset="latin1"><p>caf\xe9', 'latin1'),
      },
      'café',
    ],
    ['an unknown one', html('<p>a', { 'content-type': 'text/html; charset=klingon' }), 'a'],
  ])('is read from %s', async (_, answer, text) => {
    expect((await get(() => answer)).text).toBe(text);
  });

  it('is asked for without cookies or keys', async () => {
    await get(() => html('a', { 'set-cookie': 'a=b' }));
    expect(Object.keys(server?.asked[0]?.headers ?? {}).sort()).toEqual([
      'accept',
      'accept-encoding',
      'connection',
      'host',
      'user-agent',
    ]);
  });
});

describe('private addresses', () => {
  it.each([
    'http://127.0.0.1/',
    'http://127.1/',
    'http://0x7f000001/',
    'http://0177.0.0.1/',
    'http://2130706433/',
    'http://10.0.0.1/',
    'http://172.16.5.4/',
    'http://192.168.1.1/',
    'http://169.254.169.254/latest/meta-data',
    'http://100.64.0.1/',
    'http://0.0.0.0/',
    'http://[::1]/',
    'http://[::]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:a9fe:a9fe]/',
    'http://[64:ff9b::7f00:1]/',
    'http://[fd00::1]/',
    'http://[fe80::1]/',
    'http://[2002:7f00:1::]/',
    'http://[2001:0:7f00:1::]/',
    'http://224.0.0.1/',
    'http://255.255.255.255/',
  ])('%s is never connected to', async (url) => {
    await expect(fetchPage(url)).rejects.toThrow(InputError);
    const address = new URL(url).hostname.replace(/[[\]]/g, '');
    const named = fetchPage('http://name.example/', { lookup: resolving(address) });
    await expect(named).rejects.toThrow(/expected name\.example to have a public address/);
  });

  it.each(['8.8.8.8', '1.1.1.1', '192.0.78.9', '172.15.0.1', '2606:4700::1111', '2a00:1450::1'])(
    '%s is public',
    (address) => expect(isPublicAddress(address)).toBe(true),
  );

  it('are refused behind localhost, and behind no address at all', async () => {
    await expect(fetchPage('http://localhost/')).rejects.toThrow(InputError);
    expect(isPublicAddress('name.example')).toBe(false);
  });

  it('are refused when a name turns to one on a redirect, whatever it was before', async () => {
    server = await startFakeServer(() => ({
      status: 302,
      headers: { location: '/again' },
      body: '',
    }));
    const port = new URL(server.url).port;
    const lookup = resolving('127.0.0.1', '10.0.0.1');
    const page = fetchPage(`http://page.example:${port}/`, { ...LOCAL, lookup });
    await expect(page).rejects.toThrow(/public address, received 10\.0\.0\.1/);
    expect(server.asked).toHaveLength(1);
  });

  it.each([
    'http://169.254.169.254/',
    'http://[::1]/',
    'http://0xa9fea9fe/',
    'file:///etc/passwd',
    'ftp://public.example/',
    'http://user:key@public.example/',
    'http://public.example:22/',
    'https:',
  ])('are refused as targets of redirects: %s', async (location) => {
    const page = get(() => ({ status: 301, headers: { location }, body: '' }));
    await expect(page).rejects.toThrow(InputError);
    expect(server?.asked).toHaveLength(1);
  });
});

describe('limits', () => {
  it('follows redirects, and no more than allowed', async () => {
    const hops = (asked: Asked): Answer => {
      const left = Number(asked.url.pathname.slice(1));
      if (left === 0) return html('<p>there');
      return { status: 302, headers: { location: `${left - 1}` }, body: '' };
    };
    expect(await get(hops, {}, '/5')).toMatchObject({ text: 'there', url: `${server?.url}/0` });
    await server?.close();
    await expect(get(hops, {}, '/6')).rejects.toThrow(/at most 5 redirects/);
  });

  it.each<[string, Answer]>([
    ['a type that is no text', { headers: { 'content-type': 'image/png' }, body: 'x' }],
    ['no type', { headers: { 'content-type': '' }, body: 'x' }],
    ['a body too large', html('x'.repeat(5000))],
    ['a bomb', html(gzipSync('x'.repeat(1e6)), { 'content-encoding': 'gzip' })],
    ['a broken body', html('no gzip', { 'content-encoding': 'gzip' })],
    ['an unknown encoding', html('x', { 'content-encoding': 'zstd' })],
  ])('refuses %s', async (_, answer) => {
    await expect(get(() => answer, { maxBytes: 4000 })).rejects.toThrow(InputError);
  });

  it.each([404, 500, 204])('says that a server answered %i', async (status) => {
    await expect(get(() => ({ status, body: '' }))).rejects.toThrow(UnavailableError);
  });

  it('ends in time, and when cancelled', async () => {
    await expect(get(() => ({ body: null }), { timeoutMs: 50 })).rejects.toThrow(TimeoutError);
    await server?.close();
    const controller = new AbortController();
    const cancelled = get(() => ({ body: null }), { signal: controller.signal });
    void sleep(30).then(() => controller.abort());
    await expect(cancelled).rejects.toThrow(CancelledError);
  });

  it('says when nobody is there', async () => {
    await expect(fetchPage('http://127.0.0.1:1/', LOCAL)).rejects.toThrow(UnavailableError);
  });
});

describe('PageSearch', () => {
  it('puts pages in place of snippets where it can', async () => {
    server = await startFakeServer(({ url }) =>
      url.pathname === '/good'
        ? html('<title>Good</title><p>all of it')
        : { status: 404, body: '' },
    );
    const found = ['/good', '/bad'].map((path) => ({
      id: path,
      documentId: path,
      title: 'T',
      text: 'snippet',
      score: 1,
      url: `${server?.url}${path}`,
    }));
    const own = { id: 'p', documentId: 'd', title: 'T', text: 'passage', score: 1 };
    const tool = { provider: 'web', search: async () => [...found, own] };
    const pages = new PageSearch(tool, LOCAL);
    expect((await pages.search({ query: 'q', topK: 3 })).map((r) => [r.title, r.text])).toEqual([
      ['Good', 'all of it'],
      ['T', 'snippet'],
      ['T', 'passage'],
    ]);
  });
});
