// Package kubernetes has tests alone: they hold the manifests against Kubernetes' own
// types. It is a module of its own, as schoolbell needs none of these.
package kubernetes

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

// manifests are the objects of both files.
type manifests struct {
	config  corev1.ConfigMap
	account corev1.ServiceAccount
	set     appsv1.StatefulSet
	service corev1.Service
	budget  policyv1.PodDisruptionBudget
	policy  networkingv1.NetworkPolicy
	secret  corev1.Secret
}

// load reads the files as the API server does where it is strict: a field that a type
// does not have is a mistake, and so is one that is there twice.
func load(t *testing.T) *manifests {
	t.Helper()
	m := &manifests{}
	objects := map[string]metav1.Object{
		"v1/ConfigMap": &m.config, "v1/ServiceAccount": &m.account, "apps/v1/StatefulSet": &m.set, "v1/Service": &m.service,
		"policy/v1/PodDisruptionBudget": &m.budget, "networking.k8s.io/v1/NetworkPolicy": &m.policy, "v1/Secret": &m.secret,
	}
	for _, file := range []string{"schoolbell.yaml", "secret.yaml"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range bytes.SplitSeq(content, []byte("\n---\n")) {
			var kind metav1.TypeMeta
			if err := yaml.Unmarshal(document, &kind); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			name := kind.APIVersion + "/" + kind.Kind
			object := objects[name]
			if object == nil {
				t.Fatalf("%s: %s is not expected, or there twice", file, name)
			}
			if err := yaml.UnmarshalStrict(document, object); err != nil {
				t.Fatalf("%s: %s: %v", file, name, err)
			}
			delete(objects, name)
			for _, problem := range validation.IsDNS1123Label(object.GetName()) {
				t.Errorf("%s: %s: name: %s", file, name, problem)
			}
		}
	}
	for name := range objects {
		t.Errorf("%s is missing", name)
	}
	return m
}

func equal[T comparable](t *testing.T, what string, want, got T) {
	t.Helper()
	if want != got {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func TestTheManifestsAreThoseOfKubernetesAndFitTogether(t *testing.T) {
	m := load(t)
	spec := m.set.Spec
	pod := spec.Template
	equal(t, "replicas", 1, *spec.Replicas) // the slot has one reader
	equal(t, "serviceName", m.service.Name, spec.ServiceName)
	equal(t, "serviceAccountName", m.account.Name, pod.Spec.ServiceAccountName)
	for name, selector := range map[string]*metav1.LabelSelector{
		"StatefulSet": spec.Selector, "PodDisruptionBudget": m.budget.Spec.Selector, "NetworkPolicy": &m.policy.Spec.PodSelector,
		"Service": {MatchLabels: m.service.Spec.Selector},
	} {
		s, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil || s.Empty() || !s.Matches(labels.Set(pod.Labels)) {
			t.Errorf("the selector of the %s does not match the pod: %v %v", name, s, err)
		}
	}

	c := pod.Spec.Containers[0]
	hasPort := func(where string, port *intstr.IntOrString) {
		if port == nil || !slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == port.StrVal }) {
			t.Errorf("%s: the pod has no port %v", where, port)
		}
	}
	for _, p := range m.service.Spec.Ports {
		hasPort("Service", &p.TargetPort)
	}
	for _, rule := range m.policy.Spec.Ingress {
		if len(rule.From) == 0 {
			t.Error("NetworkPolicy: everybody is let in")
		}
		for _, p := range rule.Ports {
			hasPort("NetworkPolicy", p.Port)
		}
	}
	for path, probes := range map[string][]*corev1.Probe{"/healthz": {c.StartupProbe, c.LivenessProbe}, "/readyz": {c.ReadinessProbe}} {
		for _, probe := range probes {
			equal(t, "a probe's path", path, probe.HTTPGet.Path)
			hasPort(path, &probe.HTTPGet.Port)
		}
	}
	// SIGTERM ends serve within 5 seconds whatever it does.
	if grace := *pod.Spec.TerminationGracePeriodSeconds; grace < 10 {
		t.Errorf("terminationGracePeriodSeconds is %d: a busy node would kill it under the last words to its clients", grace)
	}
}

func TestThePodMayDoNothingButServe(t *testing.T) {
	spec := load(t).set.Spec.Template.Spec
	pod, c := spec.SecurityContext, spec.Containers[0].SecurityContext
	equal(t, "runAsNonRoot", true, *pod.RunAsNonRoot)
	equal(t, "seccompProfile", corev1.SeccompProfileTypeRuntimeDefault, pod.SeccompProfile.Type)
	equal(t, "allowPrivilegeEscalation", false, *c.AllowPrivilegeEscalation)
	equal(t, "readOnlyRootFilesystem", true, *c.ReadOnlyRootFilesystem)
	equal(t, "capabilities", "drop ALL, add ", "drop "+string(c.Capabilities.Drop[0])+", add "+strings.Join(added(c.Capabilities.Add), ","))
	equal(t, "automountServiceAccountToken", false, *spec.AutomountServiceAccountToken)
	dockerfile, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	// The volume belongs to the account of the image, which is the one that runs.
	equal(t, "runAsUser", *pod.FSGroup, *pod.RunAsUser)
	if want := "\nUSER 65532:65532\n"; *pod.RunAsUser != 65532 || !bytes.Contains(dockerfile, []byte(want)) {
		t.Errorf("runAsUser is %d, want that of the image", *pod.RunAsUser)
	}
}

func added(list []corev1.Capability) (names []string) {
	for _, c := range list {
		names = append(names, string(c))
	}
	return names
}

// Every file that the environment names is mounted from an object that has it.
func TestEveryFileThatTheEnvironmentNamesIsMounted(t *testing.T) {
	m := load(t)
	spec := m.set.Spec.Template.Spec
	c := spec.Containers[0]
	has := map[string]bool{} // the mounted files and folders
	for _, mount := range c.VolumeMounts {
		for _, v := range spec.Volumes {
			switch {
			case v.Name != mount.Name:
			case v.ConfigMap != nil && v.ConfigMap.Name == m.config.Name:
				for key := range m.config.Data {
					has[mount.MountPath+"/"+key] = mount.ReadOnly
				}
			case v.Secret != nil && v.Secret.SecretName == m.secret.Name:
				for key := range m.secret.StringData {
					has[mount.MountPath+"/"+key] = mount.ReadOnly
				}
				if mode := *v.Secret.DefaultMode; mode&0o007 != 0 || mode&0o040 == 0 {
					t.Errorf("the secret's mode is %o, want one for its group alone", mode)
				}
			}
		}
		for _, claim := range m.set.Spec.VolumeClaimTemplates {
			if claim.Name == mount.Name {
				has[mount.MountPath] = !mount.ReadOnly
			}
		}
	}
	equal(t, "variables", 3, len(c.Env))
	for _, v := range c.Env {
		if !has[v.Value] {
			t.Errorf("%s: nothing that fits is mounted at %s", v.Name, v.Value)
		}
	}
}
