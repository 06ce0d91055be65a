rule directions:
    """Draw the directions of a plane around a state."""
    input:
        weights=ask(jobs.weights_file, "state"),
        other=ask(jobs.other_file, "plane"),
    output:
        f"{RESULTS}/directions/{{state}}/{{plane}}.safetensors",
    log:
        f"{RESULTS}/logs/directions/{{state}}/{{plane}}.log",
    resources:
        mem_mb=grown(jobs.memory, "state"),
        slot=1,
    params:
        spec=ask(specs.of_directions, "state", "plane"),
        weights=ask(jobs.weights, "state"),
        other=ask(jobs.other, "plane"),
    shell:
        "landscape directions --spec {params.spec:q} --name {wildcards.plane:q}"
        " --weights {params.weights:q} --other {params.other:q} --output {output:q} > {log:q} 2>&1"


rule tile:
    """Loss and accuracy on one tile of a plane."""
    input:
        code=ask(jobs.code_files_of_state, "state"),
        weights=ask(jobs.weights_file, "state"),
        directions=f"{RESULTS}/directions/{{state}}/{{plane}}.safetensors",
        data=ask(jobs.data_file, "state"),
    output:
        f"{RESULTS}/surfaces/{{state}}/{{plane}}/{{i}}of{{n}}.nc",
    log:
        f"{RESULTS}/logs/tile/{{state}}/{{plane}}/{{i}}of{{n}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tile/{{state}}/{{plane}}/{{i}}of{{n}}.tsv"
    wildcard_constraints:
        i=r"[1-9]\d*",
        n=r"[1-9]\d*",
    resources:
        mem_mb=grown(jobs.memory, "state"),
        slot=1,
    params:
        spec=ask(specs.of_surface, "state", "plane"),
        weights=ask(jobs.weights, "state"),
    shell:
        "landscape tile --spec {params.spec:q} --name {wildcards.plane:q} --tile {wildcards.i} --of {wildcards.n}"
        " --weights {params.weights:q} --directions {input.directions:q} --data {input.data:q}"
        " --output {output:q} > {log:q} 2>&1"


rule merge:
    """Put the tiles of a plane together."""
    input:
        ask(jobs.tile_files, "state", "plane"),
    output:
        f"{RESULTS}/surfaces/{{state}}/{{plane}}.nc",
    log:
        f"{RESULTS}/logs/merge/{{state}}/{{plane}}.log",
    localrule: True
    params:
        spec=ask(specs.of_surface, "state", "plane"),
    shell:
        "landscape merge --spec {params.spec:q} --tiles {input:q} --output {output:q} > {log:q} 2>&1"
