import { svelte } from '@sveltejs/vite-plugin-svelte';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build, defineConfig, type Plugin } from 'vite';
import type { Language } from './src/text';

/** The API that `npm run dev` speaks to. */
const API = process.env['SNUGGLES'] ?? 'http://127.0.0.1:8000';

/** While developing, answer every address of a page with its document, as the API does. */
function pageAddresses(): Plugin {
  return {
    name: 'page-addresses',
    configureServer(server) {
      server.middlewares.use((request, _response, next) => {
        const url = request.url ?? '';
        if (/^\/ops(\/|\?|$)/.test(url)) request.url = '/ops.html';
        else if (!/^\/(api|src|node_modules|@|c\/|embed\/|socket\.io)|\.\w+(\?|$)/.test(url))
          request.url = '/app.html';
        next();
      });
    },
  };
}

/** Put the sprite of icons into every document: it costs no script, and no icon comes late. */
function sprite(): Plugin {
  return {
    name: 'sprite',
    transformIndexHtml(html) {
      const icons = readFileSync(fileURLToPath(new URL('src/ui/icons/icons.svg', import.meta.url)), 'utf8');
      return html.replace('<body>', `<body>\n${icons.replaceAll('\n', '').replaceAll(/>\s+</g, '><')}`);
    },
  };
}

/** Lay a compressed copy beside every asset, so that the API need not compress; of what was written, after every plugin. */
function compressed(): Plugin {
  return {
    name: 'compressed',
    apply: 'build',
    writeBundle({ dir = '.' }, bundle) {
      for (const name of Object.keys(bundle).filter((each) => /\.(js|css|svg)$/.test(each))) {
        writeFileSync(join(dir, `${name}.gz`), gzipSync(readFileSync(join(dir, name)), { level: 9 }));
      }
    },
  };
}

/** What is needed when somebody touches the front page; it is fetched after all that is seen. */
const later = (href: string): string => `<link rel="prefetch" as="script" crossorigin href="${href}">`;
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/**
 * Write the document of `/` in each language with the front page already in it, so that a visitor sees it before any
 * script has run, and with links to what the script then needs. Styles of elements become rules of a file, because the
 * content security policy admits no others.
 */
function frontPage(): Plugin {
  const LANGUAGES: Record<Language, string> = { en: 'src/text/en/index.ts', de: 'src/text/de/index.ts' };
  const server = here('node_modules/.drawn');
  return {
    name: 'front-page',
    apply: 'build',
    async writeBundle({ dir = '.' }, bundle) {
      const document = readFileSync(join(dir, 'app.html'), 'utf8');
      const chunks = Object.values(bundle).filter((each) => each.type === 'chunk');
      const of = (source: string): (typeof chunks)[number] => {
        const found = chunks.find((each) => each.facadeModuleId === here(source));
        if (!found) throw new Error(`${source} has no chunk of its own`);
        return found;
      };
      const front = of('src/home/Front.svelte');
      const [tag, app] = /<script type="module"[^>]* src="([^"]+)"><\/script>/.exec(document) ?? ['', ''];
      const fonts = Object.keys(bundle).filter((name) => name.endsWith('.woff2'));
      const styles = [front, ...chunks.filter((each) => front.imports.includes(each.fileName))].flatMap(
        (each) => [...(each.viteMetadata?.importedCss ?? [])],
      );
      await build({
        configFile: false,
        logLevel: 'error',
        publicDir: false,
        root: here('.'),
        plugins: [svelte()],
        build: {
          ssr: here('src/home/drawn.ts'),
          outDir: server,
          emptyOutDir: true,
          assetsInlineLimit: 0,
          rolldownOptions: { output: { entryFileNames: 'drawn.mjs' } },
        },
      });
      for (const [language, words] of Object.entries(LANGUAGES)) {
        // A query makes a module of its own, with words of its own.
        const address = `${pathToFileURL(join(server, 'drawn.mjs')).href}?${language}`;
        const { draw } = (await import(address)) as typeof import('./src/home/drawn');
        const drawn = await draw(language as Language);
        const rules: string[] = [];
        const body = drawn.body.replaceAll(/ style="([^"]*)"/g, (_, style: string) => {
          rules.push(`#drawn [data-s="${rules.length}"]{${style}}`);
          return ` data-s="${rules.length - 1}"`;
        });
        const css = rules.join('\n');
        const name = `assets/drawn-${createHash('sha256').update(css).digest('hex').slice(0, 8)}.css`;
        writeFileSync(join(dir, name), css);
        const needed = [front.fileName, ...front.imports, ...(language === 'en' ? [] : [of(words).fileName])];
        const links = [
          ...fonts.map(
            (each) => `<link rel="preload" as="font" type="font/woff2" crossorigin href="/${each}">`,
          ),
          `<script src="/${of('src/app/early.ts').fileName}" data-app="${app}"></script>`,
          ...[...new Set(styles), name]
            .filter((each) => !document.includes(each))
            .map((each) => `<link rel="stylesheet" crossorigin href="/${each}">`),
          ...needed.filter((each) => !document.includes(each)).map((each) => later(`/${each}`)),
        ];
        const html = document
          .replace(tag, later(app))
          .replaceAll(/<link rel="modulepreload" crossorigin href="([^"]+)">/g, (_, each: string) =>
            later(each),
          )
          .replace('lang="en"', `lang="${language}"`)
          .replace(/<title>.*?<\/title>/, drawn.head)
          .replace('</head>', `${links.join('\n')}\n</head>`)
          .replace('</body>', `<div id="drawn">${body}</div>\n</body>`);
        writeFileSync(join(dir, `front.${language}.html`), html);
      }
    },
  };
}

export default defineConfig({
  plugins: [svelte(), pageAddresses(), sprite(), frontPage(), compressed()],
  build: {
    // Beside the routes that serve it, so that it is packed with them.
    outDir: fileURLToPath(new URL('../api/site', import.meta.url)),
    emptyOutDir: true,
    target: 'es2023',
    modulePreload: { polyfill: false },
    // A data: address would need a wider content security policy.
    assetsInlineLimit: 0,
    rolldownOptions: {
      checks: { bundlerTimings: false },
      // One document a page.
      input: {
        app: fileURLToPath(new URL('app.html', import.meta.url)),
        ops: fileURLToPath(new URL('ops.html', import.meta.url)),
        // Runs before the front page is shown.
        early: here('src/app/early.ts'),
        // The script of the public pages, whose documents the API writes (`api/pages/documents.py`).
        public: fileURLToPath(new URL('src/public/public.ts', import.meta.url)),
      },
    },
  },
  server: { proxy: { '/api': API, '/c/': API, '/embed/': API, '/socket.io': { target: API, ws: true } } },
});
