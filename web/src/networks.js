// Run a network. owner: {runtime, sessions}. inputs: {name: [numbers, shape]}. wanted: the names of the
// outputs, all if it is missing. Returns {name: numbers}.

export async function run({ runtime, sessions }, network, inputs, wanted) {
  const feeds = {};
  for (const [name, [values, shape]] of Object.entries(inputs)) {
    const kind = values instanceof Int32Array ? "int32" : "float32";
    feeds[name] = new runtime.Tensor(kind, values, shape);
  }
  const outputs = await (wanted ? sessions[network].run(feeds, wanted) : sessions[network].run(feeds));
  return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data]));
}
