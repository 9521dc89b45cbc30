// Train a model, predict with it and read an error, over gRPC: node client.js [host:port]
// Over TLS with MODELYARD_CA_FILE in the environment, showing a certificate with MODELYARD_CLIENT_CERT_FILE and …_KEY_FILE.
// A server that asks for keys is shown the one in MODELYARD_KEY.
// The messages and calls come from the proto itself, which documents them; nothing is generated.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";
import protobuf from "protobufjs";

const PROTO =
  process.env.MODELYARD_PROTO ??
  fileURLToPath(new URL("../../modelyard/grpc_server/modelyard.proto", import.meta.url));

const definition = protoLoader.loadSync(PROTO, { keepCase: true, longs: Number, enums: String, oneofs: true });
const { ModelService } = grpc.loadPackageDefinition(definition).modelyard.v1;

const shown = new grpc.Metadata();
if (process.env.MODELYARD_KEY) shown.set("authorization", `Bearer ${process.env.MODELYARD_KEY}`);

/** Call a method of the service and wait for its answer. */
function call(client, method, request) {
  return new Promise((resolve, reject) =>
    client[method](request, shown, (error, answer) => (error ? reject(error) : resolve(answer))),
  );
}

/** A Value holds one of null, double, int64, string and bool; `kind` names which. */
const read = (value) => (value.kind === "null_value" ? null : value[value.kind]);

// How errors travel: google.rpc.Status, as every gRPC service may send it, with the details we are interested in.
const rpc = protobuf.parse(`
  syntax = "proto3";
  package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message BadRequest {
    message FieldViolation { string field = 1; string description = 2; }
    repeated FieldViolation field_violations = 1;
  }`, { keepCase: true }).root;

/** The wrong places that an error names. */
function wrongPlaces(error) {
  const [content] = error.metadata.get("grpc-status-details-bin");
  const status = rpc.lookupType("google.rpc.Status").decode(content);
  const detail = status.details.find(({ type_url }) => type_url.endsWith("/google.rpc.BadRequest"));
  return rpc.lookupType("google.rpc.BadRequest").decode(detail.value).field_violations;
}

const file = (name) => (process.env[name] ? readFileSync(process.env[name]) : null);
const authorities = file("MODELYARD_CA_FILE");
const credentials = authorities
  ? grpc.credentials.createSsl(authorities, file("MODELYARD_CLIENT_KEY_FILE"), file("MODELYARD_CLIENT_CERT_FILE"))
  : grpc.credentials.createInsecure();
const client = new ModelService(process.argv[2] ?? "127.0.0.1:50051", credentials);

const ages = Array.from({ length: 60 }, (_, row) => 20 + (row * 7) % 50);
const jobs = ages.map((_, row) => ["clerk", "smith", "baker"][row % 3]);

const model = await call(client, "Train", {
  model_class_key: "logistic_regression",
  name: "node-example",
  X: {
    columns: {
      columns: [
        { name: "age", doubles: { values: ages } },
        { name: "job", strings: { values: jobs }, missing: [4, 11] },
      ],
    },
  },
  y: ages.map((age) => ({ string_value: age > 40 ? "yes" : "no" })),
  hyperparams: { C: "0.5" },
});
console.log(`trained ${model.name} version ${model.version}: accuracy ${model.metrics.train_accuracy}`);

const answer = await call(client, "Predict", {
  model_id: "node-example",
  X: { rows: { rows: [{ values: [{ int64_value: 64 }, { null_value: "NULL_VALUE" }] }] } },
  probabilities: true,
});
const classes = answer.classes.map(read);
console.log(`predicted ${answer.predictions.map(read)} of ${classes}`);
console.log(`probabilities sum to ${answer.probabilities[0].values.reduce((a, b) => a + b).toFixed(6)}`);

try {
  await call(client, "Predict", {
    model_id: "node-example",
    X: { rows: { names: ["age", "job"], rows: [{ values: [{ string_value: "old" }, { string_value: "clerk" }] }] } },
  });
} catch (error) {
  console.log(`refused with ${grpc.status[error.code]}: ${error.details}`);
  for (const { field, description } of wrongPlaces(error)) console.log(`  ${field}: ${description}`);
}
client.close();
