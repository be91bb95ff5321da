import { svelte } from '@sveltejs/vite-plugin-svelte';
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
        if (/^\/ops(\/|\?|$)/.test(request.url ?? '')) request.url = '/ops.html';
        next();
      });
    },
  };
}

/** Lay a compressed copy beside every file, so that the API need not compress. */
function compressed(): Plugin {
  return {
    name: 'compressed',
    apply: 'build',
    enforce: 'post',
    generateBundle(_options, bundle) {
      for (const file of Object.values(bundle)) {
        const source = gzipSync(file.type === 'chunk' ? file.code : file.source, { level: 9 });
        if (!file.fileName.endsWith('.html')) {
          this.emitFile({ type: 'asset', fileName: `${file.fileName}.gz`, source });
        }
      }
    },
  };
}

export default defineConfig({
  plugins: [svelte(), pageAddresses(), compressed()],
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
      input: { ops: fileURLToPath(new URL('ops.html', import.meta.url)) },
    },
  },
  server: { proxy: { '/api': API } },
});
