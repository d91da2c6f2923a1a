{{ config(materialized='table') }}
select substring(launched, 1, 4) as year, count(*) as boats
from {{ source('source', 'boats') }}
group by 1
