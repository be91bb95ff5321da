import { svelte } from '@sveltejs/vite-plugin-svelte';
import { fileURLToPath } from 'node:url';
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

export default defineConfig({
  plugins: [svelte(), pageAddresses()],
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
