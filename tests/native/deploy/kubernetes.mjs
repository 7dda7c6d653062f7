// Reads a JSON array of Kubernetes resources on standard input and prints an array with what each
// kind's published schema says of them: "" when it holds, a message when it does not, null for
// kinds whose schema no package has.
import { text } from "node:stream/consumers";
import { HTTPRoute } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1";
import { WasmPlugin } from "@kubernetes-models/istio/extensions.istio.io/v1alpha1";
import { VirtualService } from "@kubernetes-models/istio/networking.istio.io/v1";
import { EnvoyFilter } from "@kubernetes-models/istio/networking.istio.io/v1alpha3";
import { Telemetry } from "@kubernetes-models/istio/telemetry.istio.io/v1";

const KINDS = {
  "extensions.istio.io/v1alpha1 WasmPlugin": WasmPlugin,
  "gateway.networking.k8s.io/v1 HTTPRoute": HTTPRoute,
  "networking.istio.io/v1 VirtualService": VirtualService,
  "networking.istio.io/v1alpha3 EnvoyFilter": EnvoyFilter,
  "telemetry.istio.io/v1 Telemetry": Telemetry,
};

const verdicts = JSON.parse(await text(process.stdin)).map((resource) => {
  const Kind = KINDS[`${resource.apiVersion} ${resource.kind}`];
  if (!Kind) return null;
  try {
    new Kind(resource).validate();
    return "";
  } catch (error) {
    return error.message;
  }
});
console.log(JSON.stringify(verdicts));
