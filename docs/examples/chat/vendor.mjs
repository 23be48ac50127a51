/*
 * Makes ES modules of what npm brought, so that the browser can import React
 * from this directory, by the import map of index.html, with no build.
 */

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);


/* A UMD build that finds itself in a module sets a global: it is exported. */

function moduleOf(umd, name, exports, head = '') {
    return `${head}${readFileSync(`node_modules/${umd}`, 'utf8')}\n`
        + `export const { ${exports.join(', ')} } = globalThis.${name};\n`
        + `export default globalThis.${name};\n`;
}


mkdirSync('vendor', { recursive: true });

copyFileSync('node_modules/htm/dist/htm.module.js', 'vendor/htm.js');

writeFileSync('vendor/react-dom.js', moduleOf(
    'react-dom/umd/react-dom.production.min.js', 'ReactDOM',
    ['createRoot', 'flushSync'], "import 'react';\n"));

writeFileSync('vendor/react.js', moduleOf(
    'react/umd/react.production.min.js', 'React',
    Object.keys(require('react')).filter((name) => /^[A-Za-z]/.test(name))));
