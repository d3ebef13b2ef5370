"""The record of every run and of every pin, kept in the cluster itself: whoever has a kubeconfig can go on."""
