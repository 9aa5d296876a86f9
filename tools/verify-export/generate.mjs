// What npm's node-llama-cpp says after a prompt: node generate.mjs FOLDER MODEL.gguf PROMPT, with FOLDER that of the package.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, modelPath, prompt] = process.argv.slice(2);
const entry = createRequire(pathToFileURL(folder + "/")).resolve("node-llama-cpp");
const { getLlama, LlamaCompletion } = await import(pathToFileURL(entry));

const llama = await getLlama({ gpu: false, build: "never", logLevel: "error" });
const model = await llama.loadModel({ modelPath });
const context = await model.createContext({ contextSize: 256 });
const completion = new LlamaCompletion({ contextSequence: context.getSequence() });
console.log(await completion.generateCompletion(prompt, { maxTokens: 24, temperature: 0 }));
process.exit(0);
