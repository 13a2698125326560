// Compiles Library.sol with OpenZeppelin from npm: node library.js OUT
'use strict';
const fs = require('fs');
const path = require('path');
const solc = require('solc');

const [out] = process.argv.slice(2);
const input = { language: 'Solidity', sources: { 'Library.sol': { content: fs.readFileSync(path.join(__dirname, 'Library.sol'), 'utf8') } },
	settings: { evmVersion: 'cancun', outputSelection: { '*': { '*': ['evm.bytecode.object'] } } } };
const result = JSON.parse(solc.compile(JSON.stringify(input), {
	import: (name) => ({ contents: fs.readFileSync(require.resolve(name), 'utf8') }),
}));
const errors = (result.errors || []).filter((e) => e.severity === 'error');
for (const e of errors)
	console.error(e.formattedMessage);
for (const name of errors.length ? [] : ['LibraryApp', 'LibraryProxy'])
	fs.writeFileSync(path.join(out, `${name}.json`),
		JSON.stringify({ bytecode: `0x${result.contracts['Library.sol'][name].evm.bytecode.object}` }));
process.exit(errors.length ? 1 : 0);
