// Compiles the contracts with solc from npm: node contracts/compile.js NODE_MODULES OUT
// Writes OUT/<Contract>.json: {abi, bytecode, runtime, methods, storage}.
'use strict';
const fs = require('fs');
const path = require('path');

const [modules, out] = process.argv.slice(2);
const solc = require(path.resolve(modules, 'solc'));
const folder = path.join(__dirname, 'src');
const sources = {};
for (const name of fs.readdirSync(folder).sort())
	sources[name] = { content: fs.readFileSync(path.join(folder, name), 'utf8') };
const result = JSON.parse(solc.compile(JSON.stringify({
	language: 'Solidity',
	sources,
	settings: {
		evmVersion: 'paris',
		optimizer: { enabled: true, runs: 200 },
		metadata: { bytecodeHash: 'none', appendCBOR: false },
		outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.methodIdentifiers', 'storageLayout'] } },
	},
})));
for (const e of result.errors || [])
	console.error(e.formattedMessage);
if ((result.errors || []).length)
	process.exit(1);
fs.mkdirSync(out, { recursive: true });
for (const [file, name] of [['DstackKms.sol', 'DstackKms'], ['DstackApp.sol', 'DstackApp'], ['Proxy.sol', 'ERC1967Proxy']]) {
	const c = result.contracts[file][name];
	const storage = c.storageLayout.storage.map((s) => [s.label, Number(s.slot), s.offset]);
	fs.writeFileSync(path.join(out, `${name}.json`), JSON.stringify({
		contract: name, solc: solc.version(), abi: c.abi, methods: c.evm.methodIdentifiers, storage,
		bytecode: `0x${c.evm.bytecode.object}`,
	}, null, 1) + '\n');
}
