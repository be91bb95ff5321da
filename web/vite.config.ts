import { svelte } from '@sveltejs/vite-plugin-svelte';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

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

export default defineConfig({
  plugins: [svelte(), pageAddresses(), sprite(), compressed()],
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
        // The script of the public pages, whose documents the API writes (`api/pages.py`).
        public: fileURLToPath(new URL('src/public/public.ts', import.meta.url)),
      },
    },
  },
  server: { proxy: { '/api': API, '/c/': API, '/embed/': API, '/socket.io': { target: API, ws: true } } },
});
